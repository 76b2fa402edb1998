// SPDX-License-Identifier: Apache-2.0
// Memory that is said to be in huge pages was asked for as such.
#include "base/memory.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "harness/skip.h"
#include "kernel/probes.h"

using namespace bpfckpt;

namespace {

// Whether MADV_HUGEPAGE was said of where that is; where the kernel does not know it, that it was not.
bool has_huge_advice(const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream maps("/proc/self/smaps");
  bool is_there = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t start = 0, end = 0;
    char dash = 0;
    std::istringstream words(line);
    if (words >> std::hex >> start >> dash >> end && dash == '-') is_there = start <= at && at < end;
    if (is_there && line.starts_with("VmFlags:")) return line.contains(" hg");
  }
  return false;
}

bool is_unlimited(__rlimit_resource resource) {
  rlimit limit{};
  return ::getrlimit(resource, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

bool knows_huge_pages() {
  return kernel::probe_huge_page_advice().there;
}

}  // namespace

TEST_CASE("much memory comes in whole huge pages, a little in small ones") {
  for (const std::size_t asked : {kHugePageBytes / 2 + 1, kHugePageBytes, 3 * kHugePageBytes - 4096}) {
    const auto memory = map_populated(asked);
    REQUIRE(memory);
    CHECK(memory->size() >= asked);
    CHECK(memory->size() % kHugePageBytes == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(memory->data()) % kHugePageBytes == 0);
    CHECK(has_huge_advice(memory->data()) == knows_huge_pages());
    std::memset(memory->data(), 1, memory->size());
  }
  const auto little = map_populated(40960);
  REQUIRE(little);
  CHECK(little->size() == 40960);
  CHECK(!has_huge_advice(little->data()));
}

TEST_CASE("the heap goes on in huge pages") {
  keep_freed_memory();
  REQUIRE_FEATURE(knows_huge_pages(), "huge-page-advice");
  REQUIRE_FEATURE(is_unlimited(RLIMIT_AS) && is_unlimited(RLIMIT_DATA), "machine: memory without limits");
  CHECK(put_heap_in_huge_pages());
  std::vector<std::unique_ptr<char[]>> blocks;
  for (int i = 0; i < 64; i++) {
    blocks.push_back(std::make_unique<char[]>(64 << 10));
    std::memset(blocks.back().get(), i, 64 << 10);
  }
  // The last of 4 MiB: what was there before may be in small pages.
  CHECK(has_huge_advice(blocks.back().get()));
}

TEST_CASE("the heap is left alone where memory is rationed") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_AS, &before) == 0);
  const rlimit rationed{rlim_t{1} << 40, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_AS, &rationed) == 0);
  const void* end = ::sbrk(0);
  CHECK(!put_heap_in_huge_pages());
  CHECK(::sbrk(0) == end);
  REQUIRE(::setrlimit(RLIMIT_AS, &before) == 0);
}
