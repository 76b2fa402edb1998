// SPDX-License-Identifier: Apache-2.0
// Mappings in short.
#include "collect/outline.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "model/vm_flags.h"

using namespace bpfckpt;

namespace {

constexpr std::uint64_t kNone = 0, kFile = 0x1000, kOther = 0x2000;

vma_record mapping(std::uint64_t start, std::uint64_t end, std::uint64_t file = kNone, bool told = false) {
  vma_record record{};
  record.head = {RECORD_VMA, sizeof record};
  record.tgid = 7;
  record.start = start;
  record.end = end;
  record.file = file;
  record.flags = told ? VMA_FILE_TOLD : 0;
  return record;
}

file_record file(std::uint64_t identity, std::uint32_t kind = FILE_KIND_REGULAR) {
  file_record record{};
  record.head = {RECORD_FILE, sizeof record};
  record.file = identity;
  record.fd = FILE_OF_VMA;
  record.kind = kind;
  record.inode.links = 1;
  return record;
}

// "10-20 30-40" of the mappings, "file 1000" of files, "+" behind a mapping whose file was told before.
class Drawing {
 public:
  template <class Record>
  Drawing& add(const Record& record) {
    REQUIRE(outline_.add(record.head, out_));
    return *this;
  }
  std::string end() {
    REQUIRE(outline_.end(out_));
    return std::exchange(text_, "");
  }

 private:
  collect::Outline outline_;
  std::string text_;
  collect::Outline::Out out_ = [this](const record_head& head) -> Result<void> {
    text_ += text_.empty() ? "" : " ";
    if (head.type == RECORD_VMA) {
      const auto& vma = *collect::as<vma_record>(head);
      text_ += fmt::format("{:x}-{:x}{}", vma.start, vma.end, (vma.flags & VMA_FILE_TOLD) != 0 ? "+" : "");
      CHECK(vma.tgid == 7);
    } else {
      text_ += fmt::format("file {:x}", collect::as<file_record>(head)->file);
    }
    return {};
  };
};

}  // namespace

TEST_CASE("plain mappings that touch become one") {
  Drawing drawing;
  drawing.add(mapping(0x10, 0x20)).add(mapping(0x20, 0x30, kFile)).add(file(kFile));
  drawing.add(mapping(0x30, 0x40, kFile, true)).add(mapping(0x50, 0x60));
  CHECK(drawing.end() == "10-40 50-60");
  // The next process begins anew.
  drawing.add(mapping(0x60, 0x70));
  CHECK(drawing.end() == "60-70");
  CHECK(drawing.end() == "");
}

TEST_CASE("what is shared or special stays") {
  Drawing drawing;
  drawing.add(mapping(0x10, 0x20)).add(mapping(0x20, 0x30, kFile)).add(file(kFile, FILE_KIND_SHMEM));
  drawing.add(mapping(0x30, 0x40, kFile, true)).add(mapping(0x40, 0x50));
  CHECK(drawing.end() == "10-20 20-30 file 1000 30-40+ 40-50");

  auto with = [&](auto&& change) {
    vma_record record = mapping(0x20, 0x30);
    change(record);
    drawing.add(mapping(0x10, 0x20)).add(record).add(mapping(0x30, 0x40));
    return drawing.end();
  };
  CHECK(with([](vma_record&) {}) == "10-40");
  CHECK(with([](vma_record& it) { it.flags = VMA_SPECIAL; }) == "10-20 20-30 30-40");
  CHECK(with([](vma_record& it) { it.flags = VMA_HAS_OPS; }) == "10-20 20-30 30-40");
  CHECK(with([](vma_record& it) { it.userfaultfd = 1; }) == "10-20 20-30 30-40");
  CHECK(with([](vma_record& it) { it.memory_policy.present = 1; }) == "10-20 20-30 30-40");
  CHECK(with([](vma_record& it) { it.vm_flags = vm::kGrowsDown; }) == "10-20 20-30 30-40");
  CHECK(with([](vma_record& it) { it.vm_flags = vm::kPfnMap; }) == "10-20 20-30 30-40");

  auto with_file = [&](auto&& change) {
    file_record record = file(kFile);
    change(record);
    drawing.add(mapping(0x10, 0x20, kFile)).add(record);
    return drawing.end();
  };
  CHECK(with_file([](file_record&) {}) == "10-20");
  CHECK(with_file([](file_record& it) { it.locks = 0x3000; }) == "10-20 file 1000");
  CHECK(with_file([](file_record& it) { it.flags = FILE_BACKING; }) == "10-20 file 1000");
  CHECK(with_file([](file_record& it) { it.path.flags = PATH_UNLINKED; }) == "10-20 file 1000");
  CHECK(with_file([](file_record& it) { it.inode.links = 0; }) == "10-20 file 1000");
  CHECK(with_file([](file_record& it) { it.name[0] = '.'; }) == "10-20 file 1000");
}

TEST_CASE("a file that was left out is told where it is needed") {
  Drawing drawing;
  vma_record watched = mapping(0x20, 0x30, kFile, true);
  watched.userfaultfd = 1;
  drawing.add(mapping(0x10, 0x20, kFile)).add(file(kFile)).add(watched);
  drawing.add(mapping(0x30, 0x40, kFile, true)).add(mapping(0x40, 0x50, kOther)).add(file(kOther));
  CHECK(drawing.end() == "10-20 20-30 file 1000 30-40+ 40-50");
}
