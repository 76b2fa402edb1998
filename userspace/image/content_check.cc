// SPDX-License-Identifier: Apache-2.0
#include "image/content_check.h"

#include <algorithm>
#include <utility>

namespace bpfckpt::image {

Result<ContentCheck> ContentCheck::open(const ImageReader& reader) {
  ContentCheck check(reader);
  std::vector<ChecksumFile> files;
  for (const auto& it : reader.manifest().files()) {
    TRY_ASSIGN(Fd fd, reader.open_raw(it.name()), "{}", reader.path());
    files.push_back({.fd = fd.get(), .size_bytes = it.size(), .name = it.name()});
    check.by_name_.emplace(it.name(), check.fds_.size());
    check.sizes_.push_back(it.size());
    check.fds_.push_back(std::move(fd));
  }
  check.checksums_.emplace(files);
  return check;
}

std::optional<std::size_t> ContentCheck::index_of(std::string_view file) const {
  auto it = by_name_.find(file);
  return it == by_name_.end() ? std::nullopt : std::optional(it->second);
}

bool ContentCheck::is_block(std::string_view file, std::uint64_t offset, std::uint64_t len_bytes) const {
  const auto index = index_of(file);
  if (!index || offset % kChecksumBlockBytes != 0 || offset >= sizes_[*index]) return false;
  return len_bytes == std::min(kChecksumBlockBytes, sizes_[*index] - offset);
}

void ContentCheck::expect(std::string_view file, std::uint64_t offset) {
  checksums_->leave_out(by_name_.at(file), offset);
}

void ContentCheck::give(std::string_view file, std::uint64_t offset, std::uint64_t checksum) {
  checksums_->give(by_name_.at(file), offset, checksum);
}

Result<void> ContentCheck::read_others() {
  TRY(checksums_->read(FileChecksums::Blocks::NotLeftOut, 1), "{}", reader_.path());
  return {};
}

Result<void> ContentCheck::finish(unsigned threads) {
  TRY(checksums_->read(FileChecksums::Blocks::Missing, threads), "{}", reader_.path());
  std::size_t index = 0;
  for (const auto& it : reader_.manifest().files())
    if (checksums_->of(index++) != it.xxh3())
      return fail(Error::bad_image(fmt::format("{}: damaged: wrong checksum", it.name())).in(reader_.path()));
  return {};
}

}  // namespace bpfckpt::image
