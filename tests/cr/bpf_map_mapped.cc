// SPDX-License-Identifier: Apache-2.0
// An array of BPF_F_MMAPABLE is mapped and looked up: one memory. A mapping outlives its descriptor.
#include "harness/cr_bpf.h"
#include "harness/cr_memory.h"

cr::Options cr::options() {
  return {.ignore = {"*/fd/*/map_id"}};  // the kernel counts ids up
}

void cr::test() {
  const int fd = create_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1024, BPF_F_MMAPABLE);
  if (fd < 0) skip("btf");
  auto* words = reinterpret_cast<std::uint64_t*>(map(2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd));
  auto* second = reinterpret_cast<std::uint64_t*>(map(kPage, PROT_READ, MAP_SHARED, fd, kPage));
  words[3] = 33;
  words[1000] = 44;
  const int closed = create_map(BPF_MAP_TYPE_ARRAY, 4, 8, 16, BPF_F_MMAPABLE, "no_descriptor");
  auto* alone = reinterpret_cast<std::uint64_t*>(map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, closed));
  alone[5] = 55;
  ::close(closed);
  const int frozen = create_map(BPF_MAP_TYPE_ARRAY, 4, 8, 16, BPF_F_MMAPABLE, "frozen");
  REQUIRE(update(frozen, std::uint32_t{2}, std::uint64_t{66}) == 0 && freeze_map(frozen) == 0);
  const auto* constant = reinterpret_cast<std::uint64_t*>(map(kPage, PROT_READ, MAP_SHARED, frozen));

  checkpoint_here();

  std::uint64_t value = 0;
  CHECK(lookup(fd, std::uint32_t{3}, value) == 0 && value == 33 && words[3] == 33);
  CHECK_EQ(second[1000 - 512], std::uint64_t{44});
  words[600] = 9;
  CHECK(lookup(fd, std::uint32_t{600}, value) == 0 && value == 9 && second[600 - 512] == 9);
  CHECK(update(fd, std::uint32_t{600}, std::uint64_t{10}) == 0 && words[600] == 10);
  CHECK_EQ(alone[5], std::uint64_t{55});
  alone[6] = 1;
  CHECK_EQ(constant[2], std::uint64_t{66});
  CHECK(update(frozen, std::uint32_t{2}, value) != 0 && errno == EPERM);
}
