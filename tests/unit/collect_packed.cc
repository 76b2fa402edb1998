// SPDX-License-Identifier: Apache-2.0
// Records that were packed come out as they were.
#include "collect/packed.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "base/memory.h"

using namespace bpfckpt;

namespace {

// `words` words with a head; of the rest one in `one_in` is not zero.
std::vector<std::uint64_t> record_of(std::size_t words, unsigned one_in, std::mt19937& random) {
  std::vector<std::uint64_t> record(words);
  for (std::uint64_t& word : record)
    if (one_in != 0 && random() % one_in == 0) word = random();
  const record_head head{RECORD_TASK, static_cast<__u32>(words * 8)};
  std::memcpy(record.data(), &head, sizeof head);
  return record;
}

const record_head& head_of(const std::vector<std::uint64_t>& record) {
  return *reinterpret_cast<const record_head*>(record.data());
}

std::size_t words_of(const std::vector<collect::PackedRecords::Run>& runs) {
  std::size_t words = 0;
  for (const auto& run : runs) words += run.size();
  return words;
}

}  // namespace

TEST_CASE("records are packed and unpacked") {
  std::mt19937 random(1);
  collect::PackedRecords packed;
  std::vector<collect::PackedRecords::Run> runs, others;
  std::vector<std::vector<std::uint64_t>> all;
  // Around the borders of masks, and more than one piece of memory.
  for (const std::size_t words : {1, 2, 63, 64, 65, 127, 128, 129, 1000, 3000})
    for (const unsigned one_in : {0u, 1u, 3u, 30u})
      for (int i = 0; i < 60; i++) all.push_back(record_of(words, one_in, random));
  std::size_t bytes = 0;
  for (const auto& record : all) {
    REQUIRE(packed.add(head_of(record), runs));
    REQUIRE(packed.add(head_of(all.front()), others));
    bytes += record.size() * 8;
  }
  CHECK(words_of(runs) * 8 > kHugePageBytes);

  collect::Records records;
  REQUIRE(collect::PackedRecords::append(runs, records));
  CHECK(records.size_bytes() == bytes);
  std::size_t at = 0;
  REQUIRE(records.for_each([&](const record_head& head) -> Result<void> {
    REQUIRE(at < all.size());
    CHECK(head.length == all[at].size() * 8);
    CHECK(std::memcmp(&head, all[at].data(), head.length) == 0);
    at++;
    return {};
  }));
  CHECK(at == all.size());
}

TEST_CASE("what is like a record before takes little more than what differs") {
  constexpr std::size_t kFiles = 2000;  // and as many patterns: more than one piece of memory
  std::mt19937 random(1);
  collect::PackedRecords packed;
  std::vector<collect::PackedRecords::Run> first, again;
  std::vector<std::vector<std::uint64_t>> files;
  for (std::size_t inode = 0; inode < kFiles; inode++) {
    files.push_back(record_of(100, 1, random));
    auto& file = *reinterpret_cast<file_record*>(files.back().data());
    file.head.type = RECORD_FILE;
    file.kind = FILE_KIND_REGULAR;
    REQUIRE(packed.add(file.head, first));
  }
  for (auto& record : files) {
    reinterpret_cast<file_record*>(record.data())->position++;
    REQUIRE(packed.add(head_of(record), again));
  }
  CHECK(words_of(first) == kFiles * 3);  // which record it is like, and two masks
  CHECK(words_of(again) == kFiles * 4);

  collect::Records records;
  REQUIRE(collect::PackedRecords::append(again, records));
  auto file = files.begin();
  REQUIRE(records.for_each([&](const record_head& head) -> Result<void> {
    CHECK(std::memcmp(&head, file++->data(), head.length) == 0);
    return {};
  }));
  CHECK(file == files.end());
}
