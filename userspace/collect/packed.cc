// SPDX-License-Identifier: Apache-2.0
#include "collect/packed.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/memory.h"

namespace bpfckpt::collect {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kGroup = 64;  // words: the bits of a mask

const std::uint64_t* words_of(const record_head& record) {
  return reinterpret_cast<const std::uint64_t*>(&record);
}

// Returns where the next record's go.
std::uint64_t* pack(const record_head& record, const record_head& pattern, std::uint64_t* to) {
  const std::uint64_t* from = words_of(record);
  const std::uint64_t* like = words_of(pattern);
  *to++ = reinterpret_cast<std::uint64_t>(&pattern);
  for (std::size_t left = record.length / kWord; left != 0;) {
    const std::size_t count = std::min(left, kGroup);
    std::uint64_t& mask = *to++ = 0;
    for (std::size_t i = 0; i < count; i++) {
      const std::uint64_t difference = from[i] ^ like[i];
      if (difference == 0) continue;
      mask |= std::uint64_t{1} << i;
      *to++ = difference;
    }
    from += count;
    like += count;
    left -= count;
  }
  return to;
}

// `from`: behind the pattern's address. Returns where the next record begins.
const std::uint64_t* unpack(const std::uint64_t* from, const record_head& pattern, std::uint64_t* to) {
  std::memcpy(to, &pattern, pattern.length);
  for (std::size_t left = pattern.length / kWord; left != 0;) {
    const std::size_t count = std::min(left, kGroup);
    for (std::uint64_t mask = *from++; mask != 0; mask &= mask - 1) to[std::countr_zero(mask)] ^= *from++;
    to += count;
    left -= count;
  }
  return from;
}

}  // namespace

std::size_t PackedRecords::Hash::operator()(const Likeness& likeness) const {
  // The addresses of inodes are multiples of their size.
  return static_cast<std::size_t>((likeness.inode >> 3) * 31 + likeness.type * 4096 + likeness.length);
}

Result<const record_head*> PackedRecords::pattern_for(const record_head& record) {
  Likeness likeness{record.type, record.length, 0};
  if (const auto* file = record.type == RECORD_FILE ? as<file_record>(record) : nullptr;
      file != nullptr && file->kind == FILE_KIND_REGULAR)
    likeness.inode = file->inode.pointer;
  const auto [known, fresh] = known_.try_emplace(likeness, nullptr);
  if (fresh) {
    TRY_ASSIGN(known->second, patterns_.append(record));
  }
  return known->second;
}

Result<void> PackedRecords::add(const record_head& record, std::vector<Run>& runs) {
  TRY_ASSIGN(const record_head* pattern, pattern_for(record));
  TRY(memory_.prepare(kHugePageBytes));
  TRY_ASSIGN(const std::span<std::byte> room, memory_.room());
  const std::size_t words = record.length / kWord;
  if ((words + words / kGroup + 2) * kWord > room.size())
    return fail(Error::bug("collect: a record longer than any room"));
  auto* begin = reinterpret_cast<std::uint64_t*>(room.data());
  const std::uint64_t* end = pack(record, *pattern, begin);
  memory_.commit(static_cast<std::size_t>(end - begin) * kWord);
  if (!runs.empty() && runs.back().data() + runs.back().size() == begin)
    runs.back() = {runs.back().data(), end};
  else
    runs.emplace_back(begin, end);
  return {};
}

Result<void> PackedRecords::append(const std::vector<Run>& runs, Records& records) {
  for (const Run& run : runs)
    for (const std::uint64_t* at = run.data(); at != run.data() + run.size();) {
      const auto& pattern = *reinterpret_cast<const record_head*>(*at++);
      TRY_ASSIGN(const std::span<std::byte> room, records.room());
      if (pattern.length > room.size()) return fail(Error::bug("collect: a record longer than any room"));
      at = unpack(at, pattern, reinterpret_cast<std::uint64_t*>(room.data()));
      records.commit(pattern.length);
    }
  return {};
}

}  // namespace bpfckpt::collect
