// SPDX-License-Identifier: Apache-2.0
#include "dump/page_scan.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "model/vm_flags.h"
#include "model/vmas.h"

namespace bpfckpt::dump {
namespace {

// include/uapi/linux/fs.h, since 6.7, "fs/proc/task_mmu: implement IOCTL to get and optionally clear info
// about PTEs"; our headers are older.
struct ScanRegion {
  std::uint64_t start, end, categories;
};
struct ScanArgument {
  std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static_assert(sizeof(ScanArgument) == 96);
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArgument);
constexpr std::uint64_t kIsFile = 1 << 2, kIsPresent = 1 << 3, kIsSwapped = 1 << 4, kIsPfnZero = 1 << 5;
constexpr std::uint64_t kIsGuard = 1 << 8;  // since 6.16

// With more regions than this, walk_end stays behind although all were returned.
constexpr std::size_t kRegionsPerCall = 512;

// Words of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
constexpr std::uint64_t kWordPresent = std::uint64_t{1} << 63, kWordSwapped = std::uint64_t{1} << 62,
                        kWordFile = std::uint64_t{1} << 61, kWordProtected = std::uint64_t{1} << 57,
                        kWordFrame = (std::uint64_t{1} << 55) - 1;

void append(std::vector<PageRange>& ranges, std::uint64_t start, std::uint64_t end) {
  if (!ranges.empty() && ranges.back().end == start)
    ranges.back().end = end;
  else
    ranges.push_back({start, end});
}

// Does the mapping hold what has to be taken? The kernel may drop the pages of a droppable one whenever it
// likes; they read as zeros then, and whoever uses it must live with that. In it are the states of vDSO
// getrandom(), which must not come twice: so they come as dropped.
bool has_own_pages(const pb::Vma& vma) {
  return is_private(vma) && (vma.flags() & vm::kDroppable) == 0;
}

// What a scan may find, and finds.
struct Scan {
  int pagemap;
  bool guards_told;  // the kernel knows PAGE_IS_GUARD
  std::vector<PageRange> pages;
  std::vector<PageRange> guards;
};

// Guard markers (MADV_GUARD_INSTALL) look like swapped pages to those who do not ask.
bool kernel_tells_guards(int pagemap) {
  ScanArgument argument{};
  argument.size = sizeof argument;
  argument.category_mask = kIsGuard;
  argument.return_mask = kIsGuard;
  return ::ioctl(pagemap, kPagemapScan, &argument) >= 0;
}

// Pages of [start, end) that are there (or swapped out), that are no file's page and not the zero page.
// Under a userfaultfd the zero page is taken as well: a page that is there is not missing.
Result<bool> scan_by_ioctl(Scan& scan, std::uint64_t start, std::uint64_t end, bool watched) {
  std::array<ScanRegion, kRegionsPerCall> regions;
  while (start < end) {
    ScanArgument argument{};
    argument.size = sizeof argument;
    argument.start = start;
    argument.end = end;
    argument.vec = reinterpret_cast<std::uint64_t>(regions.data());
    argument.vec_len = regions.size();
    argument.category_inverted = argument.category_mask = kIsFile | (watched ? 0 : kIsPfnZero);
    argument.category_anyof_mask = kIsPresent | kIsSwapped;
    argument.return_mask = scan.guards_told ? kIsGuard : 0;
    int found = ::ioctl(scan.pagemap, kPagemapScan, &argument);
    if (found < 0 && errno == ENOTTY) return false;
    if (found < 0) return fail(Error::system("PAGEMAP_SCAN"));
    for (int i = 0; i < found; i++)
      append(regions[i].categories & kIsGuard ? scan.guards : scan.pages, regions[i].start, regions[i].end);
    if (argument.walk_end <= start) return fail(Error::system("PAGEMAP_SCAN does not advance", EIO));
    start = argument.walk_end;
  }
  return true;
}

Result<void> for_each_word(int pagemap, std::uint64_t start, std::uint64_t end, auto&& visit) {
  std::array<std::uint64_t, 8192> words;
  while (start < end) {
    std::size_t want = std::min<std::size_t>(words.size(), (end - start) / kPageBytes);
    ssize_t got = ::pread(pagemap, words.data(), want * 8, static_cast<off_t>(start / kPageBytes * 8));
    if (got <= 0) return fail(Error::system("read of pagemap", got < 0 ? errno : EIO));
    for (ssize_t i = 0; i < got / 8; i++, start += kPageBytes)
      visit(start, words[static_cast<std::size_t>(i)]);
  }
  return {};
}

// Pages that a userfaultfd protects from being written.
Result<void> scan_protected(int pagemap, pb::Vma& vma) {
  return for_each_word(pagemap, vma.start(), vma.end(), [&](std::uint64_t page, std::uint64_t word) {
    if (!(word & kWordProtected)) return;
    auto& ranges = *vma.mutable_write_protected();
    if (!ranges.empty() && ranges.rbegin()->offset() + ranges.rbegin()->length() == page) {
      ranges.rbegin()->set_length(ranges.rbegin()->length() + kPageBytes);
      return;
    }
    pb::Extent& range = *ranges.Add();
    range.set_offset(page);
    range.set_length(kPageBytes);
  });
}

}  // namespace

Result<std::vector<PageRange>> scan_pages(int pagemap, pb::AddressSpace& mm) {
  static const bool guards_told = kernel_tells_guards(pagemap);
  Scan scan{pagemap, guards_told, {}, {}};
  bool by_ioctl = true;
  // Neighbours are scanned in one call: a space of 20,000 mappings is a few hundred stretches.
  for (int i = 0; i < mm.vmas_size();) {
    if (!has_own_pages(mm.vmas(i))) {
      i++;
      continue;
    }
    std::uint64_t start = mm.vmas(i).start(), end = mm.vmas(i).end();
    const bool watched = is_watched(mm.vmas(i));
    if (mm.vmas(i).flags() & vm::kUffdWp) TRY(scan_protected(pagemap, *mm.mutable_vmas(i)));
    for (i++; i < mm.vmas_size() && has_own_pages(mm.vmas(i)) && mm.vmas(i).start() == end && !watched &&
              !is_watched(mm.vmas(i));
         i++)
      end = mm.vmas(i).end();
    if (by_ioctl) {
      TRY_ASSIGN(by_ioctl, scan_by_ioctl(scan, start, end, watched));
      if (by_ioctl) continue;
    }
    // The zero page cannot be told here; it is taken like any other.
    TRY(for_each_word(pagemap, start, end, [&](std::uint64_t page, std::uint64_t word) {
      if ((word & (kWordPresent | kWordSwapped)) && !(word & kWordFile))
        append(scan.pages, page, page + kPageBytes);
    }));
  }
  for (const PageRange& range : scan.guards) {
    pb::Extent& guard = *mm.add_guards();
    guard.set_offset(range.start);
    guard.set_length(range.end - range.start);
  }
  return std::move(scan.pages);
}

Result<void> PageAllocator::place(int pagemap, const std::vector<PageRange>& ranges, std::uint64_t own,
                                  pb::AddressSpace& mm, std::vector<pb::PageRun>& fresh) {
  std::uint64_t taken = 0;  // fresh pages
  auto extend = [](auto& runs, auto&& add, std::uint64_t page, std::uint64_t index) {
    if (runs.size() > 0) {
      pb::PageRun& last = runs[runs.size() - 1];
      if (last.start() + last.count() * kPageBytes == page && last.index() + last.count() == index &&
          last.count() < UINT32_MAX) {
        last.set_count(last.count() + 1);
        return;
      }
    }
    pb::PageRun* run = add();
    run->set_start(page);
    run->set_count(1);
    run->set_index(index);
  };
  for (const PageRange& range : ranges) {
    if (!find_shared_) {
      for (std::uint64_t at = range.start; at < range.end;) {
        const bool by_itself = taken < own;
        std::uint64_t count = std::min<std::uint64_t>((range.end - at) / kPageBytes, UINT32_MAX);
        if (by_itself) count = std::min(count, own - taken);
        pb::PageRun* run = mm.add_pages();
        run->set_start(at);
        run->set_count(static_cast<std::uint32_t>(count));
        PagePlace& next = next_[by_itself ? 0 : 1];
        run->set_index(next.index());
        next.page += count;
        taken += count;
        at += count * kPageBytes;
        fresh.push_back(*run);
      }
      continue;
    }
    bool after_shared = true;  // runs are cut where sharing begins or ends
    TRY(for_each_word(pagemap, range.start, range.end, [&](std::uint64_t page, std::uint64_t word) {
      std::uint64_t frame =
          word & kWordPresent ? word & kWordFrame : 0;  // 0: swapped, or frames are not shown to us
      PagePlace& next = next_[taken < own ? 0 : 1];
      auto [it, first] =
          frame == 0 ? std::pair{by_frame_.end(), true} : by_frame_.try_emplace(frame, next.index());
      bool shared = !first;
      std::uint64_t index = shared ? it->second : next.index();
      if (!shared) {
        next.page++;
        taken++;
      }
      auto add_page = [&] { return mm.add_pages(); };
      auto add_fresh = [&] { return &fresh.emplace_back(); };
      if (shared != after_shared || mm.pages().empty()) {
        pb::PageRun* run = mm.add_pages();
        run->set_start(page);
        run->set_count(1);
        run->set_index(index);
      } else {
        extend(*mm.mutable_pages(), add_page, page, index);
      }
      after_shared = shared;
      if (shared)
        shared_++;
      else
        extend(fresh, add_fresh, page, index);
    }));
  }
  return {};
}

}  // namespace bpfckpt::dump
