// SPDX-License-Identifier: Apache-2.0
// Processes that unmapped their vDSO, or all that the kernel put beside it too, or moved it.
#include <sys/auxv.h>

#include <array>
#include <fstream>

#include "harness/cr_memory.h"

namespace {

struct Special {
  char* start;
  std::size_t size;
  std::string name;
};

std::vector<Special> special_mappings() {
  std::vector<Special> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t name = line.find("[v");
    unsigned long start = 0, end = 0;
    if (name == std::string::npos || line.find("[vsyscall]") != std::string::npos) continue;
    REQUIRE(std::sscanf(line.c_str(), "%lx-%lx", &start, &end) == 2);
    found.push_back({reinterpret_cast<char*>(start), end - start, line.substr(name)});
  }
  return found;
}

}  // namespace

void cr::test() {
  auto without = [](const std::string& only) {
    for (const Special& mapping : special_mappings())
      if (only.empty() || mapping.name == only) REQUIRE(::munmap(mapping.start, mapping.size) == 0);
    wait_released();
    for (const Special& mapping : special_mappings()) CHECK(!only.empty() && mapping.name != only);
  };
  Child no_code([&] { without("[vdso]"); });
  Child nothing([&] { without(""); });
  Child moved([] {
    std::array<char*, 2> places{};
    for (const Special& mapping : special_mappings()) {
      if (mapping.name != "[vdso]") continue;
      places = {mapping.start, map(mapping.size)};
      REQUIRE(::mremap(mapping.start, mapping.size, mapping.size, MREMAP_MAYMOVE | MREMAP_FIXED, places[1]) ==
              places[1]);
    }
    wait_released();
    for (const Special& mapping : special_mappings())
      if (mapping.name == "[vdso]") CHECK(mapping.start == places[1]);
  });
  await_waiting(3);
  checkpoint_here();
  no_code.join();
  nothing.join();
  moved.join();
}
