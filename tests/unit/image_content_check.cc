// SPDX-License-Identifier: Apache-2.0
// Blocks of image files whose checksums come from who reads them anyway.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "harness/synthetic_model.h"
#include "image/content_check.h"
#include "image/file_io.h"

using namespace bpfckpt;
using namespace bpfckpt::image;
using namespace bpfckpt::synthetic;

namespace {

constexpr std::size_t kTail = 5000;

// Two blocks and a bit, no two pages alike.
std::string large_content() {
  std::string bytes(2 * kChecksumBlockBytes + kTail, '\0');
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::string number = std::to_string(i);
    std::copy_n(number.begin(), std::min(number.size(), bytes.size() - i),
                bytes.begin() + static_cast<long>(i));
  }
  return bytes;
}

std::uint64_t checksum_of(std::string_view bytes, std::uint64_t offset) {
  BlockChecksum checksum;
  checksum.add(std::as_bytes(std::span(bytes.substr(offset, kChecksumBlockBytes))));
  return checksum.value();
}

// A checkpoint with one file more; its name.
std::string write_large_checkpoint(const std::string& directory, std::string_view content) {
  auto writer = ImageWriter::open(directory);
  REQUIRE(writer.has_value());
  Model model = write_raw(*writer);
  auto raw = writer->create_raw("large");
  REQUIRE(raw.has_value());
  REQUIRE(write_fully(raw->fd, content, 0).has_value());
  pb::Manifest manifest;
  auto done = writer->finish(model, manifest);
  REQUIRE_MESSAGE(done.has_value(), done.error().message());
  return raw->name;
}

}  // namespace

TEST_CASE("blocks that are given are not read, all others are") {
  TemporaryDirectory directory;
  const std::string content = large_content();
  const std::string name = write_large_checkpoint(directory.path(), content);
  auto reader = ImageReader::open(directory.path());
  REQUIRE(reader.has_value());
  auto check = ContentCheck::open(*reader);
  REQUIRE(check.has_value());
  const std::uint64_t last = 2 * kChecksumBlockBytes;

  CHECK(check->is_block(name, 0, kChecksumBlockBytes));
  CHECK(check->is_block(name, last, kTail));
  CHECK(!check->is_block(name, 0, kChecksumBlockBytes - 1));
  CHECK(!check->is_block(name, 4096, kChecksumBlockBytes));
  CHECK(!check->is_block(name, last, kTail - 1));
  CHECK(!check->is_block(name, last + kChecksumBlockBytes, 0));
  CHECK(!check->is_block("pages-9.img", 0, kChecksumBlockBytes));

  check->expect(name, kChecksumBlockBytes);
  check->expect(name, last);
  REQUIRE(check->read_others());
  SUBCASE("the right ones") {
    check->give(name, kChecksumBlockBytes, checksum_of(content, kChecksumBlockBytes));
    check->give(name, last, checksum_of(content, last));
    CHECK(check->finish().has_value());
  }
  SUBCASE("what does not come is read in the end") {
    check->give(name, last, checksum_of(content, last));
    CHECK(check->finish(2).has_value());
  }
  SUBCASE("a wrong one is believed: what was put into place is what counts") {
    check->give(name, kChecksumBlockBytes, checksum_of(content, kChecksumBlockBytes) ^ 1);
    check->give(name, last, checksum_of(content, last));
    auto finished = check->finish();
    REQUIRE(!finished);
    CHECK(finished.error().code() == Error::Code::BadImage);
    CHECK(finished.error().message().find(name + ": damaged") != std::string::npos);
  }
}
