// SPDX-License-Identifier: Apache-2.0
#include "diagnose/lasting.h"

#include <algorithm>

namespace bpfckpt::diagnose {
namespace {

constexpr int kMoreLooks = 3;

bool is_unsupported(const Item& item) {
  return item.finding.verdict == kinds::Verdict::Unsupported;
}

// With whom something seems to be shared is told by the reason.
bool same(const Item& a, const Item& b) {
  return a.pid == b.pid && a.subject == b.subject && a.finding.code == b.finding.code &&
         (a.finding.code != kSharedWithSibling || a.finding.reason == b.finding.reason);
}

}  // namespace

Result<void> keep_lasting(const std::vector<std::vector<Item>*>& lists,
                          const std::function<Result<std::vector<Item>>()>& find_again) {
  for (int i = 0; i < kMoreLooks; i++) {
    if (std::ranges::none_of(lists,
                             [](const auto* items) { return std::ranges::any_of(*items, is_unsupported); }))
      break;
    TRY_ASSIGN(const std::vector<Item> again, find_again());
    std::size_t dropped = 0;
    for (std::vector<Item>* items : lists)
      dropped += std::erase_if(*items, [&](const Item& item) {
        return is_unsupported(item) && std::ranges::none_of(again, [&](const Item& it) {
                 return is_unsupported(it) && same(it, item);
               });
      });
    if (dropped == 0) break;
  }
  return {};
}

}  // namespace bpfckpt::diagnose
