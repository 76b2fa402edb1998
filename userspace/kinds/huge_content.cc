// SPDX-License-Identifier: Apache-2.0
#include "kinds/huge_content.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace bpfckpt::kinds {
namespace {

constexpr std::uint64_t kMostAtOnce = 1u << 30;  // pread(2) moves at most 0x7ffff000 bytes
constexpr std::size_t kHugeCopyBytes = 2 << 20;

}  // namespace

// Zeroes are holes; neighbours of data are one extent.
Result<void> copy_huge_content(EnrichContext& context, int fd, const struct stat& facts,
                               pb::Content& content) {
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  std::string image_name;
  TRY_ASSIGN(const int image_fd, context.content_image(image_name));
  content.set_image(image_name);
  content.set_size(size);
  Fd own(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
  if (!own) return fail(Error::system("open for reading"));
  off_t image_end = ::lseek(image_fd, 0, SEEK_END);
  if (image_end < 0) return fail(Error::system("lseek of the image"));
  std::vector<std::uint64_t> words(kHugeCopyBytes / sizeof(std::uint64_t));
  pb::Extent* extent = nullptr;
  for (std::uint64_t at = 0; at < size;) {
    std::size_t want = std::min<std::uint64_t>(kHugeCopyBytes, size - at);
    // A hole reads as zeroes and stays one (fs/hugetlbfs/inode.c:hugetlbfs_read_iter()).
    ssize_t got = ::pread(own.get(), words.data(), want, static_cast<off_t>(at));
    if (got != static_cast<ssize_t>(want)) return fail(Error::system("read", got < 0 ? errno : EIO));
    // Huge pages, and so what was read, are multiples of a word.
    if (std::ranges::all_of(std::span(words).first(want / sizeof(std::uint64_t)),
                            [](std::uint64_t word) { return word == 0; })) {
      extent = nullptr;
    } else {
      if (::pwrite(image_fd, words.data(), want, image_end) != got)
        return fail(Error::system("write to the image"));
      if (extent == nullptr) {
        extent = content.add_extents();
        extent->set_offset(at);
        extent->set_image_offset(static_cast<std::uint64_t>(image_end));
      }
      extent->set_length(at + want - extent->offset());
      image_end += got;
    }
    at += want;
  }
  return {};
}

void fill_huge(PlanBuilder& plan, Operand fd, const pb::Content& content) {
  plan.call(kSelf, SYS_ftruncate, {fd, content.size()});
  if (content.extents().empty()) return;
  OpId image = plan.open_image(content.image());
  // Reserves nothing: only the pages that are read into are taken, here and now.
  OpId map =
      plan.call(kSelf, SYS_mmap,
                {0, content.size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0}, "huge pages");
  for (const pb::Extent& extent : content.extents())
    for (std::uint64_t done = 0; done < extent.length(); done += kMostAtOnce) {
      std::uint64_t len = std::min(kMostAtOnce, extent.length() - done);
      plan.call_expecting(
          kSelf, len, SYS_pread64,
          {Operand::result(image), Operand::result(map, static_cast<std::int64_t>(extent.offset() + done)),
           len, extent.image_offset() + done},
          "huge pages, of which there must be enough");
    }
  plan.call(kSelf, SYS_munmap, {Operand::result(map), content.size()});
}

}  // namespace bpfckpt::kinds
