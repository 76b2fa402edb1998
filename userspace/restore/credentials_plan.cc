// SPDX-License-Identifier: Apache-2.0
// Credentials of one thread, from root's to what they were. Each step takes away something that a later step
// might need, so the order is fixed: bounding set, groups, ids (with capabilities kept over the change of
// uid), ambient set, securebits, and the capability sets themselves last.
#include "restore/credentials_plan.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <sys/syscall.h>

namespace bpfckpt::restore {
namespace {

DataId capability_header(PlanBuilder& plan) {
  return plan.bytes_of(__user_cap_header_struct{_LINUX_CAPABILITY_VERSION_3, 0});
}

void plan_capset(PlanBuilder& plan, Actor tid, std::uint64_t effective, std::uint64_t permitted,
                 std::uint64_t inheritable, bool may_fail) {
  auto low = [](std::uint64_t set) { return static_cast<std::uint32_t>(set); };
  auto high = [](std::uint64_t set) { return static_cast<std::uint32_t>(set >> 32); };
  __user_cap_data_struct sets[2] = {{low(effective), low(permitted), low(inheritable)},
                                    {high(effective), high(permitted), high(inheritable)}};
  const Operand header = Operand::data(capability_header(plan)), data = Operand::data(plan.bytes_of(sets));
  if (may_fail)
    plan.try_call(tid, SYS_capset, {header, data}, "capabilities");
  else
    plan.call(tid, SYS_capset, {header, data}, "capabilities");
}

}  // namespace

void plan_credentials(PlanBuilder& plan, Actor tid, const pb::Credentials* c, bool ends) {
  if (c == nullptr) return;
  constexpr std::uint64_t kSetpcap = std::uint64_t{1} << CAP_SETPCAP;
  const int last = plan.environment().last_capability();
  for (int cap = 0; cap <= last; cap++)
    if (!(c->cap_bounding() >> cap & 1)) plan.call(tid, SYS_prctl, {PR_CAPBSET_DROP, cap, 0, 0, 0});

  std::vector<std::uint32_t> groups(c->groups().begin(), c->groups().end());
  plan.call(tid, SYS_setgroups,
            {groups.size(),
             groups.empty() ? Operand(0) : Operand::data(plan.data(std::as_bytes(std::span(groups))))});
  plan.call(tid, SYS_setresgid, {c->rgid(), c->egid(), c->sgid()});
  plan.call(tid, SYS_setfsgid, {c->fsgid()});  // returns the previous one
  plan.call(tid, SYS_prctl, {PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP, 0, 0, 0});
  plan.call(tid, SYS_setresuid, {c->ruid(), c->euid(), c->suid()});
  plan.call(tid, SYS_setfsuid, {c->fsuid()});

  // CAP_SETPCAP is needed for the securebits; it goes with the last capset().
  plan_capset(plan, tid, c->cap_permitted() | kSetpcap, c->cap_permitted() | kSetpcap, c->cap_inheritable(),
              ends);
  for (int cap = 0; cap <= last; cap++)
    if (c->cap_ambient() >> cap & 1)
      plan.call(tid, SYS_prctl, {PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0});
  plan.call(tid, SYS_prctl, {PR_SET_SECUREBITS, c->securebits(), 0, 0, 0}, "securebits");
  plan_capset(plan, tid, c->cap_effective(), c->cap_permitted(), c->cap_inheritable(), ends);
}

}  // namespace bpfckpt::restore
