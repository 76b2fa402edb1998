// SPDX-License-Identifier: Apache-2.0
// What a picture says of shared memory, to which often no descriptor leads: who has it, and how much of it
// the images hold. The synthetic checkpoint's processes 100 and 101 have address spaces 1 and 2, and so has
// 104.
#include <doctest/doctest.h>

#include <functional>

#include "cmd/picture.h"
#include "harness/synthetic_model.h"
#include "image/reader.h"
#include "images/kinds/packet.pb.h"
#include "images/kinds/sysv_shm.pb.h"

using namespace bpfckpt;
using namespace bpfckpt::synthetic;

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kFree = 0x7fff00000000;  // above all other mappings
constexpr std::uint64_t kRead = 1, kWrite = 2, kSharedFlag = 8;
constexpr std::uint64_t kRW = kRead | kWrite | kSharedFlag;

Picture picture_of(const std::function<void(Model&)>& change) {
  TemporaryDirectory directory;
  auto writer = image::ImageWriter::open(directory.path());
  REQUIRE_MESSAGE(writer.has_value(), writer.error().message());
  Model model = write_raw(*writer);
  change(model);
  pb::Manifest manifest;
  auto done = writer->finish(model, manifest);
  REQUIRE_MESSAGE(done.has_value(), done.error().message());
  auto reader = image::ImageReader::open(directory.path());
  REQUIRE_MESSAGE(reader.has_value(), reader.error().message());
  return draw(*reader);
}

pb::Vma& map(Model& model, int space, std::uint64_t start, std::uint64_t pages, std::uint32_t file,
             std::uint64_t offset = 0, std::uint64_t flags = kRW) {
  pb::Vma& vma = add_vma(*model.memory.mutable_address_spaces(space), start, start + pages * kPage,
                         pb::FILE_SHARED, flags, file);
  vma.set_file_offset(offset);
  return vma;
}

// Of one extent.
pb::Content content_of(const Model& model, std::uint64_t size, std::uint64_t offset, std::uint64_t length) {
  pb::SharedMemory any;
  REQUIRE(model.files.objects(2).detail().UnpackTo(&any));
  pb::Content content;
  content.set_image(any.content().image());
  content.set_size(size);
  pb::Extent& extent = *content.add_extents();
  extent.set_offset(offset);
  extent.set_length(length);
  return content;
}

pb::FileObject& add_object(Model& model, std::uint32_t id, const char* kind,
                           const google::protobuf::Message& detail) {
  pb::FileObject& object = *model.files.add_objects();
  object.set_id(id);
  object.set_kind(kind);
  object.mutable_detail()->PackFrom(detail);
  return object;
}

void add_memfd(Model& model, std::uint32_t file, std::uint32_t object, const pb::Content& content) {
  add_file(model, file, "shmem", "/memfd:pool", 02, object);
  pb::SharedMemory memory;
  *memory.mutable_content() = content;
  add_object(model, object, "shmem", memory);
}

void add_named_file(Model& model, std::uint32_t id, std::uint64_t inode) {
  pb::File& file = add_file(model, id, "regular", "/dev/shm/pool", 02);
  file.mutable_inode()->set_number(inode);
  file.mutable_inode()->set_device(7);
  file.mutable_inode()->set_size(2 * kPage);
}

std::vector<const Picture::Shared*> rows_of(const Picture& picture, std::string_view kind) {
  std::vector<const Picture::Shared*> rows;
  for (const Picture::Shared& shared : picture.shared)
    if (shared.kind == kind) rows.push_back(&shared);
  return rows;
}

const Picture::Shared& only_row(const Picture& picture, std::string_view kind) {
  const auto rows = rows_of(picture, kind);
  REQUIRE(rows.size() == 1);
  return *rows[0];
}

// "100: fd 3 rw; 101: ..."
std::string holders_of(const Picture& picture, const Picture::Shared& shared) {
  std::string text;
  for (const Picture::Holder& holder : shared.holders)
    text +=
        fmt::format("{}{}: {}", text.empty() ? "" : "; ", picture.processes[holder.process].pid, holder.how);
  return text;
}

std::uint64_t taken(const std::vector<Picture::Memory>& memory, std::string_view kind) {
  for (const Picture::Memory& it : memory)
    if (it.kind == kind) return it.taken_bytes;
  return 0;
}

}  // namespace

TEST_CASE("shared anonymous memory: with each that maps it, in all once") {
  Picture picture = picture_of([](Model&) {});
  const Picture::Shared& row = only_row(picture, "anonymous memory");
  CHECK(row.name.empty());
  CHECK(row.size == "16 KiB, 4 KiB of it in the images");
  CHECK(holders_of(picture, row) == "100: 16 KiB rw at 0x7f0000000000; 101: 16 KiB rw at 0x7f0000000000");
  for (const Picture::Process& process : picture.processes) {
    CAPTURE(process.pid);
    const bool zombie = process.state == "zombie";
    CHECK(process.shared_taken_bytes == (zombie ? 0 : kPage));
    CHECK(taken(process.memory, "anonymous, shared") == (zombie ? 0 : kPage));
  }
  CHECK(taken(picture.memory, "anonymous, shared") == kPage);
  // 8 pages of private memory are in the images; relatives have three of them in common.
  CHECK(taken(picture.memory, "anonymous") + taken(picture.memory, "file, private") == 8 * kPage);
  CHECK(taken_in_words(picture.processes[0]) == "24 KiB + 4 KiB shared");
}

TEST_CASE("a System V segment") {
  std::uint32_t mode = 0600;
  std::int32_t key = 0;
  std::string name;
  SUBCASE("with a key") {
    key = 0x1092;
    name = "id 5, key 0x00001092";
  }
  SUBCASE("removed") {
    mode |= 01000;
    name = "id 5, no key, removed";
  }
  Picture picture = picture_of([&](Model& model) {
    pb::SysvSegment segment;
    segment.set_id(5);
    segment.set_key(key);
    segment.set_mode(mode);
    segment.set_size(6000);
    *segment.mutable_content() = content_of(model, 6000, 0, 6000);
    *segment.mutable_tail() = content_of(model, 2 * kPage, 6000, 2 * kPage - 6000);
    add_object(model, 10, "sysv_shm", segment);
    add_file(model, 10, "sysv_shm", "/SYSV00001092", 02, 10);
    add_file(model, 11, "sysv_shm", "/SYSV00001092", 02, 10);  // another attachment
    map(model, 0, kFree, 2, 10);
    map(model, 0, kFree + 4 * kPage, 2, 11, 0, kRead | kSharedFlag);
    map(model, 1, kFree, 2, 10);
  });
  const Picture::Shared& row = only_row(picture, "System V segment");
  CHECK(row.name == name);
  CHECK(row.size == "8 KiB, 8 KiB of it in the images");
  CHECK(holders_of(picture, row) ==
        "100: 16 KiB rw in 2 mappings from 0x7fff00000000 on; 101: 8 KiB rw at 0x7fff00000000");
  CHECK(taken(picture.processes[0].memory, "file, shared") == 2 * kPage);
  CHECK(taken(picture.memory, "file, shared") == 2 * kPage);
}

TEST_CASE("a mapped file is one thing by whatever opening") {
  Picture picture = picture_of([](Model& model) {
    add_named_file(model, 10, 77);
    add_named_file(model, 11, 77);
    add_named_file(model, 12, 78);  // another file, which nobody else has
    add_fd(*model.files.mutable_tables(1), 30, 11);
    map(model, 0, kFree, 2, 10);
    map(model, 0, kFree + 4 * kPage, 2, 12);
    map(model, 1, kFree, 1, 11, kPage, kRead | kSharedFlag);
  });
  const Picture::Shared& row = only_row(picture, "mapped file");
  CHECK(row.name == "/dev/shm/pool");
  CHECK(row.size == "8 KiB, nothing of it in the images");
  CHECK(holders_of(picture, row) ==
        "100: 8 KiB rw at 0x7fff00000000; 101: fd 30 rw, 4 KiB r at 0x7fff00000000");
  CHECK(taken(picture.memory, "file, shared") == 0);
}

TEST_CASE("files that are not mapped are one thing only by their description") {
  Picture picture = picture_of([](Model& model) {
    add_named_file(model, 10, 77);
    add_named_file(model, 11, 77);
    add_fd(*model.files.mutable_tables(0), 30, 10);
    add_fd(*model.files.mutable_tables(1), 30, 11);
  });
  for (const Picture::Shared& shared : picture.shared) CHECK(shared.name != "/dev/shm/pool");
}

TEST_CASE("what is mapped of an object, and how often") {
  // Of 3 pages the images hold the second; one process maps it twice, the other one none of it.
  Picture picture = picture_of([](Model& model) {
    add_memfd(model, 10, 10, content_of(model, 3 * kPage, kPage, kPage));
    add_fd(*model.files.mutable_tables(0), 30, 10);
    map(model, 0, kFree, 2, 10);
    map(model, 0, kFree + 8 * kPage, 2, 10, kPage);
    map(model, 1, kFree, 1, 10, 2 * kPage);
  });
  const Picture::Shared& row = only_row(picture, "memfd");
  CHECK(row.name == "/memfd:pool");
  CHECK(row.size == "12 KiB, 4 KiB of it in the images");
  CHECK(holders_of(picture, row) ==
        "100: fd 30 rw, 16 KiB rw in 2 mappings from 0x7fff00000000 on; 101: 4 KiB rw at 0x7fff00000000");
  CHECK(taken(picture.processes[0].memory, "file, shared") == kPage);
  CHECK(taken(picture.processes[1].memory, "file, shared") == 0);
  CHECK(taken(picture.memory, "file, shared") == kPage);
}

TEST_CASE("a ring that is shared with the kernel is not counted by offsets") {
  Picture picture = picture_of([](Model& model) {
    pb::PacketSocket socket;
    *socket.mutable_receive_ring()->mutable_content() = content_of(model, kPage, 0, kPage);
    *socket.mutable_send_ring()->mutable_content() = content_of(model, kPage, 0, kPage);
    add_file(model, 10, "packet", "socket:[9]", 02).mutable_detail()->PackFrom(socket);
    map(model, 0, kFree, 1, 10);
    map(model, 0, kFree + 4 * kPage, 2, 10);
  });
  CHECK(rows_of(picture, "packet").empty());  // nobody else has it
  CHECK(taken(picture.processes[0].memory, "file, shared") == 2 * kPage);
}

TEST_CASE("thousands of mappings are few words") {
  constexpr std::uint32_t kMany = 10'000;
  SUBCASE("of one object") {
    Picture picture = picture_of([](Model& model) {
      add_memfd(model, 10, 10, content_of(model, 2 * kMany * kPage, 0, 3 * kPage));
      for (std::uint64_t i = 0; i < kMany; i++)
        for (int space : {0, 1}) map(model, space, kFree + 2 * i * kPage, 1, 10, 2 * i * kPage);
    });
    const Picture::Shared& row = only_row(picture, "memfd");
    CHECK(row.holders[0].how == "39 MiB rw in 10000 mappings from 0x7fff00000000 on");
    CHECK(taken(picture.processes[0].memory, "file, shared") == 2 * kPage);
    CHECK(taken(picture.memory, "file, shared") == 3 * kPage);
  }
  SUBCASE("of as many objects") {
    Picture picture = picture_of([](Model& model) {
      const pb::Content content = content_of(model, kPage, 0, kPage);
      for (std::uint32_t i = 0; i < kMany; i++) {
        add_memfd(model, 10 + i, 10 + i, content);
        for (int space : {0, 1}) map(model, space, kFree + 2 * i * kPage, 1, 10 + i);
      }
    });
    const Picture::Shared& row = only_row(picture, "memfd");
    CHECK(row.name == "/memfd:pool and 9999 more");
    CHECK(row.size == "39 MiB, 39 MiB of it in the images");
    CHECK(holders_of(picture, row) ==
          "100: 39 MiB rw in 10000 mappings from 0x7fff00000000 on; "
          "101: 39 MiB rw in 10000 mappings from 0x7fff00000000 on");
    CHECK(taken(picture.memory, "file, shared") == kMany * kPage);
  }
}
