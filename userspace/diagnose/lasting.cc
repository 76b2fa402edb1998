// SPDX-License-Identifier: Apache-2.0
#include "diagnose/lasting.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <thread>

namespace bpfckpt::diagnose {
namespace {

using namespace std::chrono_literals;

// How long to wait before the next look, where what was found may be over in a moment.
constexpr std::array kPauses = {2ms, 5ms, 10ms, 20ms, 30ms, 50ms, 70ms, 100ms};
constexpr std::size_t kMoreLooks = 3;  // where it is not of that kind

// What a program comes to by itself: a connection to be accepted, an urgent byte to be read.
constexpr std::array<std::string_view, 3> kFleeting = {"tcp-in-flight", "tcp-fast-open", "tcp-urgent"};

bool is_fleeting(const Item& item) {
  return item.finding.verdict != kinds::Verdict::Ok &&
         std::ranges::find(kFleeting, item.finding.code) != kFleeting.end();
}

bool may_pass(const Item& item) {
  return (item.finding.verdict == kinds::Verdict::Unsupported && item.finding.code != kAboveBpfckpt &&
          item.finding.code != kUnreadable) ||
         is_fleeting(item);
}

std::pair<std::uint32_t, std::uint32_t> process_of(const Item& item) {
  return {item.root, item.pid};
}

// With whom something seems to be shared is told by the reason.
bool same(const Item& a, const Item& b) {
  return process_of(a) == process_of(b) && a.subject == b.subject && a.finding.code == b.finding.code &&
         (a.finding.code != kSharedWithSibling || a.finding.reason == b.finding.reason);
}

// Whose trees have such items.
std::set<std::uint32_t> roots_of(const std::vector<std::vector<Item>*>& lists, bool (*is)(const Item&)) {
  std::set<std::uint32_t> roots;
  for (const auto* items : lists)
    for (const Item& item : *items)
      if (is(item)) roots.insert(item.root);
  return roots;
}

}  // namespace

Result<void> keep_lasting(const std::vector<std::vector<Item>*>& lists, const LookAgain& look_again) {
  for (std::size_t look = 0; look < kPauses.size(); look++) {
    const std::set<std::uint32_t> roots = roots_of(lists, may_pass);
    if (roots.empty()) break;
    const bool waits = !roots_of(lists, is_fleeting).empty();
    if (waits) std::this_thread::sleep_for(kPauses[look]);
    TRY_ASSIGN(std::vector<Item> again, look_again(roots));
    std::erase_if(again, [](const Item& item) { return !may_pass(item); });
    std::ranges::sort(again, {}, process_of);
    std::size_t dropped = 0;
    for (std::vector<Item>* items : lists)
      dropped += std::erase_if(*items, [&](const Item& item) {
        return may_pass(item) &&
               std::ranges::none_of(std::ranges::equal_range(again, process_of(item), {}, process_of),
                                    [&](const Item& it) { return same(it, item); });
      });
    if (!waits && (dropped == 0 || look + 1 == kMoreLooks)) break;
  }
  return {};
}

}  // namespace bpfckpt::diagnose
