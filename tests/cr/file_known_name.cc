// SPDX-License-Identifier: Apache-2.0
// Files that lost the name by which they were opened, and are found without --link-remap: by another name
// that the tree has open or mapped, or by the old name that was given back.
#include "harness/cr_memory.h"

void cr::test() {
  const auto path = [](const char* name) { return directory() + "/" + name; };
  const int lost = make_file("first", "0123456789");
  REQUIRE(::link(path("first").c_str(), path("second").c_str()) == 0);
  const int known = ::open(path("second").c_str(), O_RDONLY);
  REQUIRE(::unlink(path("first").c_str()) == 0 && ::lseek(lost, 2, SEEK_SET) == 2);
  const int back = make_file("returned", "returned");
  REQUIRE(::link(path("returned").c_str(), path("aside").c_str()) == 0);
  REQUIRE(::unlink(path("returned").c_str()) == 0);
  REQUIRE(::link(path("aside").c_str(), path("returned").c_str()) == 0);
  REQUIRE(::unlink(path("aside").c_str()) == 0);
  checkpoint_here();
  CHECK_EQ(read_all(lost), "23456789");
  CHECK_EQ(::pwrite(lost, "X", 1, 0), 1);
  CHECK_EQ(read_all(known), "X123456789");
  CHECK_EQ(file_content("second"), "X123456789");
  CHECK(::access(path("first").c_str(), F_OK) < 0 && ::access(path("aside").c_str(), F_OK) < 0);
  CHECK_EQ(::write(back, "RE", 2), 2);
  CHECK_EQ(file_content("returned"), "REturned");
}

cr::Options cr::options() {
  // They are called by the name that led to them, and are compared as files that have one.
  return {.ignore = {"*/fd/*/link", "*/fd/*/flags", "*/fd/*/object"}};
}
