// SPDX-License-Identifier: Apache-2.0
// Hashes, arrays and LPM tries come back with every entry, their shape, and what each description may do.
#include <fcntl.h>

#include "harness/cr_bpf.h"

namespace {

constexpr std::uint32_t kHashEntries = 20000;  // several batches

struct Wide {
  std::uint64_t a, b;
  std::uint32_t c, d;
};

struct Prefix {
  std::uint32_t bits;
  std::uint8_t address[4];
};

}  // namespace

cr::Options cr::options() {
  return {.ignore = {"*/fd/*/map_id"}};  // the kernel counts ids up
}

void cr::test() {
  const int hash =
      create_map(BPF_MAP_TYPE_HASH, 8, sizeof(Wide), 2 * kHashEntries, BPF_F_NO_PREALLOC, "a_hash");
  if (hash < 0) skip("btf");
  for (std::uint64_t i = 0; i < kHashEntries; i++)
    REQUIRE(update(hash, i * 7919, Wide{i, ~i, static_cast<std::uint32_t>(i), 5}) == 0);
  const int array = create_map(BPF_MAP_TYPE_ARRAY, 4, 12, 1000, 0, "an_array");
  char text[12] = "eleven char";
  REQUIRE(array >= 0 && update(array, std::uint32_t{999}, text) == 0);
  REQUIRE(update(array, std::uint32_t{0}, text) == 0);
  const int trie = create_map(BPF_MAP_TYPE_LPM_TRIE, 8, 4, 16, BPF_F_NO_PREALLOC, "a_trie");
  REQUIRE(trie >= 0 && update(trie, Prefix{8, {10, 0, 0, 0}}, std::uint32_t{8}) == 0);
  REQUIRE(update(trie, Prefix{24, {10, 1, 2, 0}}, std::uint32_t{24}) == 0);
  const int empty = create_map(BPF_MAP_TYPE_HASH, 4, 4, 3, BPF_F_RDONLY_PROG);
  REQUIRE(empty >= 0);
  // Two more descriptions of the hash, and a duplicate of one.
  const int reader = open_map(map_info(hash).id, BPF_F_RDONLY),
            writer = open_map(map_info(hash).id, BPF_F_WRONLY);
  const int duplicate = ::dup(reader);
  REQUIRE(reader >= 0 && writer >= 0 && duplicate >= 0);
  const int frozen = create_map(BPF_MAP_TYPE_ARRAY, 4, 8, 2, 0, "frozen");
  REQUIRE(frozen >= 0 && update(frozen, std::uint32_t{1}, std::uint64_t{77}) == 0 && freeze_map(frozen) == 0);

  checkpoint_here();

  const bpf_map_info info = map_info(hash);
  CHECK_EQ(info.type, std::uint32_t{BPF_MAP_TYPE_HASH});
  CHECK_EQ(info.max_entries, 2 * kHashEntries);
  CHECK_EQ(info.map_flags, std::uint32_t{BPF_F_NO_PREALLOC});
  CHECK_EQ(std::string(info.name), std::string("a_hash"));
  CHECK_EQ(count_keys<std::uint64_t>(hash), static_cast<int>(kHashEntries));
  int wrong = 0;
  for (std::uint64_t i = 0; i < kHashEntries; i++) {
    Wide value{};
    if (lookup(hash, i * 7919, value) != 0 || value.a != i || value.b != ~i || value.c != i || value.d != 5)
      wrong++;
  }
  CHECK_EQ(wrong, 0);
  char read[12] = {};
  CHECK(lookup(array, std::uint32_t{999}, read) == 0 && std::memcmp(read, text, 12) == 0);
  CHECK(lookup(array, std::uint32_t{0}, read) == 0 && std::memcmp(read, text, 12) == 0);
  const char zero[12] = {};
  CHECK(lookup(array, std::uint32_t{500}, read) == 0 && std::memcmp(read, zero, 12) == 0);
  std::uint32_t bits = 0;
  CHECK(lookup(trie, Prefix{32, {10, 1, 2, 3}}, bits) == 0 && bits == 24);
  CHECK(lookup(trie, Prefix{32, {10, 9, 9, 9}}, bits) == 0 && bits == 8);
  CHECK(lookup(trie, Prefix{32, {11, 0, 0, 0}}, bits) != 0 && errno == ENOENT);
  CHECK_EQ(map_info(empty).map_flags, std::uint32_t{BPF_F_RDONLY_PROG});
  CHECK_EQ(count_keys<std::uint32_t>(empty), 0);

  // One map, three ways to it.
  CHECK(update(writer, std::uint64_t{3}, Wide{1, 2, 3, 4}) == 0);
  Wide value{};
  CHECK(lookup(reader, std::uint64_t{3}, value) == 0 && value.d == 4);
  CHECK(lookup(hash, std::uint64_t{3}, value) == 0 && value.d == 4);
  CHECK(lookup(writer, std::uint64_t{3}, value) != 0 && errno == EPERM);
  CHECK(update(duplicate, std::uint64_t{3}, value) != 0 && errno == EPERM);

  std::uint64_t number = 0;
  CHECK(lookup(frozen, std::uint32_t{1}, number) == 0 && number == 77);
  CHECK(update(frozen, std::uint32_t{1}, number) != 0 && errno == EPERM);
}
