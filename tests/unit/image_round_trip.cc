// SPDX-License-Identifier: Apache-2.0
// What ImageWriter writes, ImageReader and PageStore give back; older checkpoints are replaced whole.
#include <doctest/doctest.h>
#include <google/protobuf/util/message_differencer.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "harness/synthetic_model.h"
#include "image/page_store.h"
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

std::string bytes_of(const image::PageStore& store, const pb::AddressSpace& mm, std::uint64_t address,
                     std::size_t len) {
  std::string bytes(len, '?');
  auto read = store.read(mm, address, std::as_writable_bytes(std::span(bytes)));
  REQUIRE(read.has_value());
  return bytes;
}

}  // namespace

TEST_CASE("a checkpoint reads back as it was written") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  auto reader = image::ImageReader::open(directory.path());
  REQUIRE_MESSAGE(reader.has_value(), reader.error().message());
  Model expected = make_model("pages-1.img", "pages-2.img", "contents.img");
  using google::protobuf::util::MessageDifferencer;
  CHECK(MessageDifferencer::Equals(reader->model().tasks, expected.tasks));
  CHECK(MessageDifferencer::Equals(reader->model().memory, expected.memory));
  CHECK(MessageDifferencer::Equals(reader->model().files, expected.files));
  CHECK(reader->manifest().root_pid() == 100);
  CHECK(reader->manifest().stats().frozen_us() == 2200);
  CHECK(reader->verify_contents().has_value());
  CHECK(reader->check_machine().has_value());
  CHECK(names_in(directory.path()) == std::set<std::string>{"manifest", "tasks.pb", "memory.pb", "files.pb",
                                                            "pages-1.img", "pages-2.img", "contents.img"});
}

TEST_CASE("pages come from the own image, from kin, or are zeros") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  auto reader = image::ImageReader::open(directory.path());
  REQUIRE(reader.has_value());
  auto store = image::PageStore::open(*reader);
  REQUIRE(store.has_value());
  const auto& mm = *reader->index().address_space(1);
  const auto& kin = *reader->index().address_space(2);
  CHECK(bytes_of(*store, mm, 0x402000, 0x2000) == page_of('\0') + page_of('a'));
  CHECK(bytes_of(*store, mm, 0x500000, 0x5000) ==
        page_of('b') + page_of('c') + page_of('d') + page_of('e') + page_of('\0'));
  CHECK(bytes_of(*store, kin, 0x500000, 0x5000) ==
        page_of('b') + page_of('c') + page_of('u') + page_of('e') + page_of('v'));
  CHECK(bytes_of(*store, kin, 0x501ffc, 8) == "ccccuuuu");

  auto spans = store->spans(kin, 0x501000, 0x505000);
  REQUIRE(spans.size() == 4);
  CHECK(spans[0].address == 0x501000);
  CHECK(spans[0].len_bytes == 0x1000);
  CHECK(spans[0].offset == 0x2000);
  CHECK(spans[0].owner_mm_id == 1);
  CHECK(spans[1].owner_mm_id == 2);
  CHECK(store->spans(mm, 0x508000, 0x7ffd00020000).empty());
}

TEST_CASE("a new checkpoint replaces the older one, and nothing of that stays") {
  TemporaryDirectory directory;
  for (int round = 0; round < 5; ++round) {
    write_checkpoint(directory.path());
    auto reader = image::ImageReader::open(directory.path());
    REQUIRE_MESSAGE(reader.has_value(), reader.error().message());
    CHECK(reader->verify_contents().has_value());
    CHECK(names_in(directory.path()).size() == 7);
  }
}

TEST_CASE("the older checkpoint can be read until the new one is finished") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  {
    auto writer = image::ImageWriter::open(directory.path());
    REQUIRE(writer.has_value());
    write_raw(*writer);
    CHECK(image::ImageReader::open(directory.path()).has_value());
  }
  auto reader = image::ImageReader::open(directory.path());
  REQUIRE(reader.has_value());
  CHECK(reader->verify_contents().has_value());
  CHECK(names_in(directory.path()).size() == 7);
}

TEST_CASE("a writer that is not finished leaves nothing") {
  TemporaryDirectory directory;
  {
    auto writer = image::ImageWriter::open(directory.path());
    REQUIRE(writer.has_value());
    write_raw(*writer);
  }
  CHECK(names_in(directory.path()).empty());
}

TEST_CASE("a model that a reader would refuse is not published") {
  TemporaryDirectory directory;
  {
    auto writer = image::ImageWriter::open(directory.path());
    REQUIRE(writer.has_value());
    Model model = write_raw(*writer);
    SUBCASE("by itself") {
      model.tasks.mutable_processes(1)->set_parent_pid(77);
    }
    SUBCASE("for what it says of raw files") {
      model.memory.mutable_address_spaces(0)->mutable_pages(2)->set_index(6);
    }
    pb::Manifest manifest;
    auto done = writer->finish(model, manifest);
    REQUIRE(!done.has_value());
    CHECK(done.error().code() == Error::Code::BadImage);
  }
  CHECK(names_in(directory.path()).empty());
}

TEST_CASE("two writers in one directory") {
  TemporaryDirectory directory;
  auto first = image::ImageWriter::open(directory.path());
  REQUIRE(first.has_value());
  auto second = image::ImageWriter::open(directory.path());
  REQUIRE(!second.has_value());
  CHECK(second.error().code() == Error::Code::Conflict);
}

TEST_CASE("a damaged raw file is found by verify_contents(), a damaged metadata file at once") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  auto flip = [&](std::string_view name, std::streamoff at) {
    std::fstream file(directory.file(name), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(at);
    file.put(byte);
  };
  flip("pages-1.img", 5000);
  auto reader = image::ImageReader::open(directory.path());
  REQUIRE(reader.has_value());
  auto contents = reader->verify_contents();
  REQUIRE(!contents.has_value());
  CHECK(contents.error().message().find("pages-1.img: damaged") != std::string::npos);
  for (const char* name : {"tasks.pb", "memory.pb", "files.pb", "manifest"}) {
    CAPTURE(name);
    flip(name, 40);
    auto damaged = image::ImageReader::open(directory.path());
    REQUIRE(!damaged.has_value());
    CHECK(damaged.error().message().find(name) != std::string::npos);
    flip(name, 40);
  }
  CHECK(image::ImageReader::open(directory.path()).has_value());
}

TEST_CASE("no manifest, no checkpoint") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  std::filesystem::remove(directory.file("manifest"));
  auto reader = image::ImageReader::open(directory.path());
  REQUIRE(!reader.has_value());
  CHECK(reader.error().code() == Error::Code::BadImage);
}

TEST_CASE("names of image files") {
  for (const char* good : {"pages-1.img", "tasks.pb", "a", "A_b.2"}) CHECK(image::is_image_name(good));
  for (const char* bad : {"", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "manifest", "a b", "a\nb"})
    CHECK_FALSE(image::is_image_name(bad));
  CHECK_FALSE(image::is_image_name(std::string(129, 'a')));
}
