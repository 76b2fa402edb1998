// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fnmatch.h>

#include <set>

#include "harness/runner/snapshot.h"

namespace runner {

namespace {

bool ignored(const std::string& key, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    if (::fnmatch(pattern.c_str(), key.c_str(), 0) == 0) return true;
  }
  return false;
}

// sizeof(struct rseq) as every kernel so far registers it through glibc, and its alignment. It holds the
// number of the CPU, so it differs whenever the scheduler likes.
constexpr std::uint64_t kRseqBytes = 32;

// 32-byte blocks of a page that differ.
std::set<std::uint64_t> differing_blocks(std::uint64_t address, const std::string& a, const std::string& b) {
  std::set<std::uint64_t> blocks;
  for (std::size_t i = 0; i < a.size(); i += kRseqBytes) {
    if (a.compare(i, kRseqBytes, b, i, kRseqBytes) != 0) blocks.insert(address + i);
  }
  return blocks;
}

void compare_memory(pid_t pid, const std::map<std::uint64_t, std::string>& before,
                    const std::map<std::uint64_t, std::string>& after, int threads,
                    std::vector<std::string>& out) {
  const std::string zero(4096, '\0');
  std::set<std::uint64_t> blocks;
  std::set<std::uint64_t> addresses;
  for (const auto& [address, bytes] : before) addresses.insert(address);
  for (const auto& [address, bytes] : after) addresses.insert(address);
  for (const std::uint64_t address : addresses) {
    const auto a = before.find(address);
    const auto b = after.find(address);
    blocks.merge(
        differing_blocks(address, a == before.end() ? zero : a->second, b == after.end() ? zero : b->second));
  }
  if (blocks.size() <= 2 * static_cast<std::size_t>(threads)) return;
  std::string where;
  for (const std::uint64_t block : blocks) {
    if (where.size() < 200) where += fmt::format(" {:x}", block);
  }
  out.push_back(
      fmt::format("{}/memory: {} blocks of {} bytes differ:{}", pid, blocks.size(), kRseqBytes, where));
}

}  // namespace

std::vector<std::string> differences(const Snapshot& before, const Snapshot& after,
                                     const std::vector<std::string>& ignore) {
  std::vector<std::string> out;
  for (const auto& [key, value] : before.facts) {
    if (ignored(key, ignore)) continue;
    const auto it = after.facts.find(key);
    if (it == after.facts.end())
      out.push_back(fmt::format("{}: lost (was '{}')", key, value));
    else if (it->second != value)
      out.push_back(fmt::format("{}: '{}' became '{}'", key, value, it->second));
  }
  for (const auto& [key, value] : after.facts) {
    if (!ignored(key, ignore) && !before.facts.contains(key)) {
      out.push_back(fmt::format("{}: extra '{}'", key, value));
    }
  }
  const std::map<std::uint64_t, std::string> none;
  for (const auto& [pid, threads] : before.threads) {
    if (ignored(fmt::format("{}/memory", pid), ignore)) continue;
    const auto a = before.pages.find(pid);
    const auto b = after.pages.find(pid);
    compare_memory(pid, a == before.pages.end() ? none : a->second, b == after.pages.end() ? none : b->second,
                   threads, out);
  }
  return out;
}

}  // namespace runner
