// SPDX-License-Identifier: Apache-2.0
#include "collect/records.h"

#include <cstring>
#include <utility>

#include "base/memory.h"

namespace bpfckpt::collect {

namespace {
// Pieces double what is there, up to a huge page, so that little is populated in vain.
constexpr std::size_t kFirstPieceBytes = 256 << 10;
constexpr std::size_t kLargestPieceBytes = kHugePageBytes;
}  // namespace

Result<void> Records::add_piece(std::size_t len_bytes) {
  TRY_ASSIGN(Mapping memory, map_populated(len_bytes));
  pieces_.push_back({std::move(memory), 0});
  return {};
}

Result<void> Records::prepare(std::size_t len_bytes) {
  if (!pieces_.empty()) return {};
  return add_piece(std::max(len_bytes, kReadBytes));
}

Result<std::span<std::byte>> Records::room() {
  while (current_ < pieces_.size() && pieces_[current_].memory.size() - pieces_[current_].used < kReadBytes)
    ++current_;
  if (current_ == pieces_.size())
    TRY(add_piece(std::clamp(size_bytes(), kFirstPieceBytes, kLargestPieceBytes)));
  const Piece& piece = pieces_[current_];
  return piece.memory.bytes().subspan(piece.used);
}

Result<record_head*> Records::append(const record_head& record) {
  TRY_ASSIGN(const std::span<std::byte> free, room());
  if (record.length > free.size()) return fail(Error::bug("collect: a record longer than any room"));
  std::memcpy(free.data(), &record, record.length);
  commit(record.length);
  return reinterpret_cast<record_head*>(free.data());
}

std::size_t Records::size_bytes() const {
  std::size_t sum = 0;
  for (const Piece& piece : pieces_) sum += piece.used;
  return sum;
}

std::size_t Records::capacity_bytes() const {
  std::size_t sum = 0;
  for (const Piece& piece : pieces_) sum += piece.memory.size();
  return sum;
}

void Records::truncate(std::size_t len_bytes) {
  for (Piece& piece : pieces_) {
    piece.used = std::min(piece.used, len_bytes);
    len_bytes -= piece.used;
  }
  current_ = 0;  // room() goes on behind the full ones
  for (std::size_t i = 0; i < pieces_.size(); ++i)
    if (pieces_[i].used != 0) current_ = i;
}

void Records::clear() {
  truncate(0);
  clocks_.clear();
  visible_.clear();
  labels_.clear();
  of_running_ = false;
}

void Records::add_clock(clockid_t clock) {
  for (const ClockSample& sample : clocks_)
    if (sample.clock == clock) return;
  timespec now;
  if (::clock_gettime(clock, &now) == 0)
    clocks_.push_back({clock, now.tv_sec * 1'000'000'000LL + now.tv_nsec});
}

std::optional<std::int64_t> Records::clock_ns(clockid_t clock) const {
  for (const ClockSample& sample : clocks_)
    if (sample.clock == clock) return sample.now_ns;
  return std::nullopt;
}

namespace {

// The string of `len` bytes, NUL included, at the beginning of `bytes`.
std::string_view string_at(std::span<const std::byte> bytes, std::size_t len) {
  if (len == 0 || len > bytes.size()) return {};
  return {reinterpret_cast<const char*>(bytes.data()), len - 1};
}

}  // namespace

std::string_view path_string(const file_record& record) {
  return string_at(trailing(record), record.path.length);
}

std::string_view name_string(const vma_record& record) {
  return string_at(trailing(record), record.name_bytes);
}

}  // namespace bpfckpt::collect
