// SPDX-License-Identifier: Apache-2.0
#include "dump/process_state.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "model/living_thread.h"

namespace bpfckpt::dump {
namespace {

using target::Entry;
using target::RemoteAddress;

constexpr int kSignals = 64;
constexpr int kGroupsMax = 1024;  // more: BPF's list is kept

struct KernelSigaction {
  std::uint64_t handler, flags, restorer, mask;
};

// One leader's questions and where the answers will be.
class Questions {
 public:
  Questions(pb::Process& process, pb::Credentials* credentials, target::InjectedParasite& parasite)
      : process_(process), credentials_(credentials), parasite_(parasite), batch_(parasite.batch()) {}

  Result<void> ask() {
    auto actions = batch_.reserve(kSignals * sizeof(KernelSigaction));
    auto ids = batch_.reserve(6 * sizeof(std::uint32_t));
    auto groups = batch_.reserve(kGroupsMax * sizeof(std::uint32_t));
    auto header = batch_.put(__user_cap_header_struct{_LINUX_CAPABILITY_VERSION_3, 0});
    auto sets = batch_.reserve(2 * sizeof(__user_cap_data_struct));
    auto timers = batch_.reserve(3 * sizeof(itimerval));
    if (!actions || !ids || !groups || !header || !sets || !timers || !batch_.room_for(kSignals + 12))
      return fail(Error::bug("the slot has no room for the questions"));
    actions_ = *actions;
    ids_ = *ids;
    groups_ = *groups;
    sets_ = *sets;
    timers_ = *timers;
    for (int signal = 1; signal <= kSignals; signal++)
      batch_.call(SYS_rt_sigaction, signal, 0, action(signal), 8);
    batch_.call(SYS_getresuid, ids_, ids_ + 4, ids_ + 8);
    batch_.call(SYS_getresgid, ids_ + 12, ids_ + 16, ids_ + 20);
    fsuid_ = batch_.call(SYS_setfsuid, -1);  // an id that is none: it answers with the present one
    fsgid_ = batch_.call(SYS_setfsgid, -1);
    group_count_ = batch_.call(SYS_getgroups, kGroupsMax, groups_);
    batch_.ignore(group_count_);
    batch_.call(SYS_capget, *header, sets_);
    securebits_ = batch_.call(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
    for (int which = 0; which < 3; which++)
      batch_.call(SYS_getitimer, which, timers_ + which * sizeof(itimerval));
    return batch_.submit();
  }

  Result<void> answer() {
    target::TaskWatch watch = parasite_.watch();
    TRY(batch_.wait(watch), "pid {}", process_.pid());
    process_.clear_sigactions();
    for (int signal = 1; signal <= kSignals; signal++) {
      const auto& a = batch_.at<KernelSigaction>(action(signal));
      if (a.handler == 0 && a.flags == 0 && a.mask == 0) continue;
      pb::SigAction& out = *process_.add_sigactions();
      out.set_signal(static_cast<std::uint32_t>(signal));
      out.set_handler(a.handler);
      out.set_flags(a.flags);
      out.set_restorer(a.restorer);
      out.set_mask(a.mask);
    }
    alarm(*process_.mutable_itimer_real());
    cpu_timer(1, *process_.mutable_itimer_virtual());
    cpu_timer(2, *process_.mutable_itimer_prof());
    if (credentials_ != nullptr) credentials(*credentials_);
    batch_.clear();
    return {};
  }

 private:
  RemoteAddress action(int signal) const {
    return actions_ + static_cast<std::uint64_t>(signal - 1) * sizeof(KernelSigaction);
  }
  std::uint32_t id(int which) const {
    return batch_.at<std::uint32_t>(ids_ + static_cast<std::uint64_t>(which) * 4);
  }

  void timer(int which, pb::Itimer& out) const {
    const auto& t = batch_.at<itimerval>(timers_ + static_cast<std::uint64_t>(which) * sizeof(itimerval));
    auto ns = [](const timeval& tv) {
      return static_cast<std::uint64_t>(tv.tv_sec) * 1'000'000'000 +
             static_cast<std::uint64_t>(tv.tv_usec) * 1000;
    };
    out.set_value_ns(ns(t.it_value));
    out.set_interval_ns(ns(t.it_interval));
  }

  // It went on while the process stood. What was seen before, pending signals among it, is older than the
  // answer: a signal that came in between would be lost.
  void alarm(pb::Itimer& out) const {
    const bool was_armed = out.value_ns() != 0;
    timer(0, out);
    const bool signalled = std::ranges::any_of(process_.pending(), [](const std::string& info) {
      std::int32_t signal = 0;  // siginfo_t begins with si_signo
      std::memcpy(&signal, info.data(), sizeof signal);
      return signal == SIGALRM;
    });
    if (was_armed && out.value_ns() == 0 && !signalled) out.set_value_ns(1000);
  }

  // setitimer(2) adds a tick (kernel/time/itimer.c:set_cpu_itimer()), which must not be added again and
  // again.
  void cpu_timer(int which, pb::Itimer& out) const {
    timer(which, out);
    timespec tick{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    const auto tick_ns = static_cast<std::uint64_t>(tick.tv_nsec);
    if (out.value_ns() != 0)
      out.set_value_ns(out.value_ns() > tick_ns + 1000 ? out.value_ns() - tick_ns : 1000);
  }

  void credentials(pb::Credentials& out) const {
    out.set_ruid(id(0));
    out.set_euid(id(1));
    out.set_suid(id(2));
    out.set_rgid(id(3));
    out.set_egid(id(4));
    out.set_sgid(id(5));
    out.set_fsuid(static_cast<std::uint32_t>(batch_.result(fsuid_)));
    out.set_fsgid(static_cast<std::uint32_t>(batch_.result(fsgid_)));
    if (std::int64_t count = batch_.result(group_count_); count >= 0 && count <= kGroupsMax) {
      out.clear_groups();
      for (std::int64_t i = 0; i < count; i++)
        out.add_groups(batch_.at<std::uint32_t>(groups_ + static_cast<std::uint64_t>(i) * 4));
    }
    const auto& low = batch_.at<__user_cap_data_struct>(sets_);
    const auto& high = batch_.at<__user_cap_data_struct>(sets_ + sizeof(__user_cap_data_struct));
    auto whole = [](std::uint32_t l, std::uint32_t h) { return std::uint64_t{h} << 32 | l; };
    out.set_cap_effective(whole(low.effective, high.effective));
    out.set_cap_permitted(whole(low.permitted, high.permitted));
    out.set_cap_inheritable(whole(low.inheritable, high.inheritable));
    out.set_securebits(static_cast<std::uint32_t>(batch_.result(securebits_)));
  }

  pb::Process& process_;
  pb::Credentials* credentials_;
  target::InjectedParasite& parasite_;
  target::Batch batch_;
  RemoteAddress actions_, ids_, groups_, sets_, timers_;
  Entry fsuid_, fsgid_, group_count_, securebits_;
};

}  // namespace

Result<void> ask_processes(TakenTree& tree, Model& model) {
  std::map<std::uint32_t, pb::Credentials*> credentials;
  for (pb::Credentials& c : *model.tasks.mutable_credentials()) credentials.emplace(c.id(), &c);
  std::deque<Questions> questions;
  for (pb::Process& process : *model.tasks.mutable_processes()) {
    target::InjectedParasite* parasite = tree.parasite(process.pid());
    if (parasite == nullptr) continue;  // what BPF saw has to do
    auto it = credentials.find(living_thread(process).credentials_id());
    questions.emplace_back(process, it == credentials.end() ? nullptr : it->second, *parasite);
    TRY(questions.back().ask(), "pid {}", process.pid());
  }
  for (Questions& q : questions) TRY(q.answer());
  return {};
}

}  // namespace bpfckpt::dump
