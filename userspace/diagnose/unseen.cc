// SPDX-License-Identifier: Apache-2.0
#include "diagnose/unseen.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "kinds/marks.h"

namespace bpfckpt::diagnose {
namespace {

std::uint64_t effective() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return 0;
  return data[0].effective | static_cast<std::uint64_t>(data[1].effective) << 32;
}

// Older ones contain some of the younger.
bool has(std::uint64_t capabilities, const Capability& one) {
  const auto bit = [&](unsigned number) { return (capabilities >> number & 1) != 0; };
  if (one.number == kDacReadSearch.number && bit(CAP_DAC_OVERRIDE)) return true;
  if (one.number == kCheckpointRestore.number && bit(CAP_SYS_ADMIN)) return true;
  return bit(one.number);
}

}  // namespace

void Unseen::add(std::string_view code, std::string thing, std::span<const Capability> needed) {
  Of& of = by_code_[std::string(code)];
  of.things.insert(std::move(thing));
  const std::uint64_t own = effective();
  for (const Capability& one : needed)
    if (!has(own, one)) of.lacking.insert(one.name);
}

void Unseen::set_aside(Item& item) {
  if (item.finding.code != kinds::kWatchedUnseen || has(effective(), kDacReadSearch)) return;
  item.finding.verdict = kinds::Verdict::Ok;
  add("watched-unnamed", fmt::format("{} {}", item.pid, item.subject), {{kDacReadSearch}});
}

std::string to_line(const Unseen& unseen) {
  std::string what;
  std::set<std::string_view> lacking;
  for (const auto& [code, of] : unseen.by_code()) {
    what += fmt::format("{}{} ({} thing{})", what.empty() ? "" : ", ", code, of.things.size(),
                        of.things.size() == 1 ? "" : "s");
    lacking.insert(of.lacking.begin(), of.lacking.end());
  }
  if (what.empty()) return {};
  std::string names;
  std::size_t left = lacking.size();
  for (std::string_view name : lacking) {
    names += names.empty() ? "" : left == 1 ? " and " : ", ";
    names += name;
    left--;
  }
  return fmt::format("Not seen{}{}: {}.", names.empty() ? "" : ", for want of ", names, what);
}

}  // namespace bpfckpt::diagnose
