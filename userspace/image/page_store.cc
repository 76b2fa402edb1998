// SPDX-License-Identifier: Apache-2.0
#include "image/page_store.h"

#include <algorithm>

#include "image/file_io.h"
#include "model/page_place.h"

namespace bpfckpt::image {

Result<PageStore> PageStore::open(const ImageReader& reader) {
  PageStore store;
  store.page_size_ = reader.manifest().page_size();
  for (const auto& mm : reader.model().memory.address_spaces()) {
    for (const std::string& image : mm.page_images()) {
      TRY_ASSIGN(Fd fd, reader.open_raw(image), "{}", reader.path());
      store.images_[mm.id()].push_back(std::move(fd));
    }
  }
  return store;
}

std::vector<PageSpan> PageStore::spans(const pb::AddressSpace& mm, std::uint64_t start,
                                       std::uint64_t end) const {
  std::vector<PageSpan> out;
  const auto& runs = mm.pages();
  auto run_end = [&](const pb::PageRun& run) { return run.start() + run.count() * page_size_; };
  auto it = std::ranges::partition_point(runs, [&](const auto& run) { return run_end(run) <= start; });
  for (; it != runs.end() && it->start() < end; ++it) {
    std::uint64_t from = std::max(start, it->start());
    std::uint32_t owner = it->owner_mm_id() == 0 ? mm.id() : it->owner_mm_id();
    const PagePlace place = PagePlace::of(it->index());
    PageSpan span{.address = from,
                  .len_bytes = std::min(end, run_end(*it)) - from,
                  .fd = images_.at(owner)[place.image].get(),
                  .offset = place.page * page_size_ + (from - it->start()),
                  .owner_mm_id = owner};
    if (!out.empty() && out.back().owner_mm_id == owner && out.back().fd == span.fd &&
        out.back().address + out.back().len_bytes == span.address &&
        out.back().offset + out.back().len_bytes == span.offset)
      out.back().len_bytes += span.len_bytes;
    else
      out.push_back(span);
  }
  return out;
}

Result<void> PageStore::read(const pb::AddressSpace& mm, std::uint64_t address,
                             std::span<std::byte> out) const {
  std::ranges::fill(out, std::byte{0});
  std::uint64_t end = address + out.size();
  for (const auto& span : spans(mm, address, end))
    TRY(read_fully(span.fd, out.subspan(span.address - address, span.len_bytes), span.offset));
  return {};
}

}  // namespace bpfckpt::image
