// SPDX-License-Identifier: Apache-2.0
// A list of names that a killed dump made is not believed: only names of ours go, of the files they were made
// for, and a list that is damaged or cut short removes what it says clearly, or nothing.
#include "image/link_record.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "harness/synthetic_model.h"

using namespace bpfckpt;

namespace {

struct Place {
  synthetic::TemporaryDirectory directory;
  std::string text;  // of the list

  std::string make(const std::string& name) {
    std::ofstream(directory.file(name)) << "content";
    return directory.file(name);
  }
  void list(const std::string& path, std::uint64_t inode_of = 0) {
    struct stat st{};
    ::stat(path.c_str(), &st);
    text += fmt::format("{} {} {}", st.st_dev, st.st_ino + inode_of, path) + '\0';
  }
  unsigned removed() {
    std::ofstream(directory.file(".bpfckpt.links"), std::ios::binary) << text;
    auto images = image::ImageDirectory::open(directory.path());
    REQUIRE(images.has_value());
    auto done = image::remove_recorded_links(*images);
    REQUIRE(done.has_value());
    return *done;
  }
};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

TEST_CASE("names of ours go, others stay") {
  Place place;
  const std::string ours = place.make(".bpfckpt-link-1-0"), other = place.make("precious"),
                    changed = place.make(".bpfckpt-link-1-1");
  ::mkdir(place.directory.file(".bpfckpt-link-1").c_str(), 0700);
  const std::string below = place.make(".bpfckpt-link-1/precious");
  place.list(other);
  place.list(below);
  place.list(changed, 1);
  place.list(ours.substr(1));  // not absolute
  place.text += "junk";
  place.text += '\0';
  place.text += std::string("1 2\0 \0\0", 7);
  place.text += "99999999999999999999999 1 " + ours + '\0';
  CHECK(place.removed() == 0);
  place.list(ours);
  CHECK(place.removed() == 1);
  CHECK_FALSE(exists(ours));
  for (const std::string& path : {other, below, changed}) CHECK(exists(path));
}

TEST_CASE("an entry that was not written to its end is none") {
  Place place;
  const std::string ours = place.make(".bpfckpt-link-1-0");
  place.list(ours);
  place.text.pop_back();
  CHECK(place.removed() == 0);
  CHECK(exists(ours));
}

TEST_CASE("the list is there while it is written, and goes with its writer") {
  Place place;
  const std::string ours = place.make(".bpfckpt-link-1-0");
  auto images = image::ImageDirectory::open(place.directory.path());
  REQUIRE(images.has_value());
  {
    auto record = image::LinkRecord::open(*images);
    REQUIRE(record.has_value());
    Fd fd(::open(ours.c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(record->add(ours, fd.get()).has_value());
    CHECK(exists(place.directory.file(".bpfckpt.links")));
    auto done = image::remove_recorded_links(*images);  // as if it were dead
    REQUIRE(done.has_value());
    CHECK(*done == 1);
  }
  CHECK_FALSE(exists(place.directory.file(".bpfckpt.links")));
}
