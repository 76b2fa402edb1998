// SPDX-License-Identifier: Apache-2.0
// A private mapping of a file: pages that were changed are the process's own, pages that were not still show
// the file, also what is written to it later; nothing of it reaches the file.
#include "harness/cr_memory.h"

void cr::test() {
  std::string content;
  for (int i = 0; i < 32; ++i) content += std::string(kPage, static_cast<char>('a' + i % 26));
  const int fd = make_file("data", content);
  char* area = map(40 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  char* offset = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 16 * kPage);
  char* read_only = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  fill(area + 3 * kPage, 3);
  std::memset(area + 5 * kPage, 0, kPage);  // zero is a change too
  fill(offset + kPage, 17);
  fill(read_only, 99);
  REQUIRE(::mprotect(read_only, 4 * kPage, PROT_READ) == 0);
  ::close(fd);
  checkpoint_here();
  CHECK(filled(area + 3 * kPage, 3));
  CHECK(zero(area + 5 * kPage));
  CHECK(filled(offset + kPage, 17));
  CHECK(filled(read_only, 99));
  CHECK_EQ(area[0], 'a');
  CHECK_EQ(offset[0], 'q');
  CHECK(!readable(area + 33 * kPage));  // beyond the end of the file
  CHECK(file_content("data") == content);
  const int again = ::open((directory() + "/data").c_str(), O_WRONLY);
  REQUIRE(::pwrite(again, "NEW", 3, 7 * kPage) == 3);
  CHECK(std::memcmp(area + 7 * kPage, "NEW", 3) == 0);
}
