// SPDX-License-Identifier: Apache-2.0
#include "collect/packed.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace bpfckpt::collect {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kGroup = 64;  // words: the bits of a mask

std::uint32_t length_of(std::uint64_t first_word) {
  record_head head;
  static_assert(sizeof head == kWord);
  std::memcpy(&head, &first_word, sizeof head);
  return head.length;
}

// Returns where the next record's go.
std::uint64_t* pack(const record_head& record, std::uint64_t* to) {
  const auto* from = reinterpret_cast<const std::uint64_t*>(&record);
  for (std::size_t left = record.length / kWord; left != 0;) {
    const std::size_t count = std::min(left, kGroup);
    std::uint64_t& mask = *to++ = 0;
    for (std::size_t i = 0; i < count; i++) {
      if (from[i] == 0) continue;
      mask |= std::uint64_t{1} << i;
      *to++ = from[i];
    }
    from += count;
    left -= count;
  }
  return to;
}

// Returns where the next record begins.
const std::uint64_t* unpack(const std::uint64_t* from, std::size_t words, std::uint64_t* to) {
  std::memset(to, 0, words * kWord);
  for (std::size_t left = words; left != 0;) {
    const std::size_t count = std::min(left, kGroup);
    for (std::uint64_t mask = *from++; mask != 0; mask &= mask - 1) to[std::countr_zero(mask)] = *from++;
    to += count;
    left -= count;
  }
  return from;
}

}  // namespace

Result<void> PackedRecords::add(const record_head& record, std::vector<Run>& runs) {
  TRY_ASSIGN(const std::span<std::byte> room, memory_.room());
  const std::size_t words = record.length / kWord;
  if ((words + words / kGroup + 1) * kWord > room.size())
    return fail(Error::bug("collect: a record longer than any room"));
  auto* begin = reinterpret_cast<std::uint64_t*>(room.data());
  const std::uint64_t* end = pack(record, begin);
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
      // The head, which is never zero, is behind the first mask.
      const std::size_t bytes = length_of(at[1]);
      TRY_ASSIGN(const std::span<std::byte> room, records.room());
      if (bytes > room.size()) return fail(Error::bug("collect: a record longer than any room"));
      at = unpack(at, bytes / kWord, reinterpret_cast<std::uint64_t*>(room.data()));
      records.commit(bytes);
    }
  return {};
}

}  // namespace bpfckpt::collect
