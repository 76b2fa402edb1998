// SPDX-License-Identifier: Apache-2.0
// Places that cannot take a checkpoint, and writers that die: a clear error, no manifest, no litter, and an
// older checkpoint stays.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>
#include <set>

#include "harness/skip.h"
#include "harness/synthetic_model.h"
#include "image/manifest_file.h"
#include "image/reader.h"

using namespace bpfckpt;
using namespace bpfckpt::synthetic;

namespace {

std::set<std::string> names_in(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& it : std::filesystem::directory_iterator(directory))
    names.insert(it.path().filename().string());
  return names;
}

// A small file system of its own over a temporary directory.
class SmallDisk {
 public:
  explicit SmallDisk(const char* options) {
    mounted_ = mount("bpfckpt-test", directory_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
    REQUIRE_MESSAGE(mounted_, "mounting a tmpfs: ", std::strerror(errno));
  }
  ~SmallDisk() {
    if (mounted_) umount2(directory_.path().c_str(), MNT_DETACH);
  }
  void make_read_only() const {
    REQUIRE(mount("bpfckpt-test", directory_.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
  }
  const std::string& path() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_;
  bool mounted_ = false;
};

Result<void> write(const std::string& path) {
  TRY_ASSIGN(auto writer, image::ImageWriter::open(path));
  Model model = write_raw(writer);
  pb::Manifest manifest;
  return writer.finish(model, manifest);
}

}  // namespace

TEST_CASE("a missing directory") {
  auto writer = image::ImageWriter::open("/nonexistent/images");
  REQUIRE(!writer.has_value());
  CHECK(writer.error().message() == "images directory /nonexistent/images: open: No such file or directory");
}

TEST_CASE("a file in the place of the directory") {
  auto writer = image::ImageWriter::open("/dev/null");
  REQUIRE(!writer.has_value());
  CHECK(writer.error().err() == ENOTDIR);
}

TEST_CASE("a read-only file system") {
  SmallDisk disk("size=1m");
  disk.make_read_only();
  auto writer = image::ImageWriter::open(disk.path());
  REQUIRE(!writer.has_value());
  CHECK(writer.error().err() == EROFS);
}

TEST_CASE("a full disk") {
  SmallDisk disk("size=64k");
  SUBCASE("at the metadata") {
    auto writer = image::ImageWriter::open(disk.path());
    REQUIRE(writer.has_value());
    Model model = write_raw(*writer);
    // The raw files take 44 KiB; a long environment of strings takes the rest.
    for (int i = 0; i < 64; ++i)
      add_thread(*model.tasks.mutable_processes(0), 1000 + static_cast<unsigned>(i), "thread");
    pb::Manifest manifest;
    auto done = writer->finish(model, manifest);
    REQUIRE(!done.has_value());
    CHECK(done.error().err() == ENOSPC);
    CHECK(done.error().message() == "tasks.pb: write: No space left on device");
  }
  SUBCASE("an older checkpoint stays") {
    REQUIRE(write(disk.path()).has_value());
    auto writer = image::ImageWriter::open(disk.path());
    if (writer) {
      auto raw = writer->create_raw("pages-1");
      if (raw) {
        std::string bytes(128 << 10, 'x');
        CHECK(::write(raw->fd, bytes.data(), bytes.size()) < static_cast<ssize_t>(bytes.size()));
      }
    }
    writer = fail(Error::bug("gone"));
    auto reader = image::ImageReader::open(disk.path());
    REQUIRE(reader.has_value());
    CHECK(reader->verify_contents().has_value());
    CHECK(names_in(disk.path()).size() == 7);
    return;
  }
  CHECK(names_in(disk.path()).empty());
}

TEST_CASE("no more inodes") {
  SmallDisk disk("size=1m,nr_inodes=5");
  auto writer = image::ImageWriter::open(disk.path());
  REQUIRE(writer.has_value());
  CHECK(writer->create_raw("one").has_value());
  auto second = writer->create_raw("two");
  REQUIRE(!second.has_value());
  CHECK(second.error().err() == ENOSPC);
}

// A child writes checkpoint over checkpoint into one directory until it is killed. Whenever that is, the
// directory holds a sound checkpoint (one was there before the child began), and the next writer leaves that
// and nothing else.
TEST_CASE("a killed writer") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (;;)
        if (!write(directory.path())) _exit(1);
    }
    usleep(random() % 20'000);
    kill(child, SIGKILL);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    auto reader = image::ImageReader::open(directory.path());
    REQUIRE_MESSAGE(reader.has_value(), reader.error().message());
    CHECK(reader->verify_contents(1).has_value());
    REQUIRE(image::ImageWriter::open(directory.path()).has_value());  // and gone again
    CHECK(names_in(directory.path()).size() == 7);
  }
}

TEST_CASE("what a writer killed while publishing leaves is removed by the next one") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  auto manifest = image::ImageReader::open(directory.path())->manifest();
  // As after step 4 of FORMAT.md, "Publishing": the journal names files of which some have appeared.
  for (auto& file : *manifest.mutable_files()) file.set_name("new-" + file.name());
  auto encoded = image::encode_manifest(manifest);
  REQUIRE(encoded.has_value());
  std::ofstream(directory.file(".bpfckpt.manifest"), std::ios::binary) << *encoded;
  std::ofstream(directory.file("new-tasks.pb")) << "x";
  std::ofstream(directory.file(".bpfckpt.new-files.pb")) << "x";
  std::ofstream(directory.file("of-the-user")) << "x";
  REQUIRE(image::ImageWriter::open(directory.path()).has_value());
  auto names = names_in(directory.path());
  CHECK(names.size() == 8);
  CHECK(names.contains("of-the-user"));
  CHECK_FALSE(names.contains("new-tasks.pb"));
  CHECK(image::ImageReader::open(directory.path()).has_value());
}

TEST_CASE("a manifest that cannot be read is replaced") {
  TemporaryDirectory directory;
  std::ofstream(directory.file("manifest")) << "of another program";
  REQUIRE(write(directory.path()).has_value());
  CHECK(image::ImageReader::open(directory.path()).has_value());
  CHECK(names_in(directory.path()).size() == 7);
}
