// SPDX-License-Identifier: Apache-2.0
// Seccomp filters and strict mode.
//
// Naive: install them as each thread's last call. But a filter may forbid the very futex(2) by which the
// interpreter says that it is done, and to install one takes no_new_privs or CAP_SYS_ADMIN, which the thread
// may be without in the end. So they are installed while the thread is still privileged, and do nothing until
// it is let go: before, bpfckpt takes it under ptrace with PTRACE_O_SUSPEND_SECCOMP.
//
// What all threads of a process have in common is installed by one for all (TSYNC): only threads that stem
// from one filter can be brought together again by a later TSYNC
// (kernel/seccomp.c:seccomp_can_sync_threads()).
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>

#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint32_t kModeStrict = 1;

struct FilterProgram {  // struct sock_fprog
  std::uint16_t len;
  std::uint16_t pad[3];
  std::uint64_t filter;
};
static_assert(sizeof(FilterProgram) == 16);

std::vector<const pb::Thread*> living_threads(const pb::Process& process) {
  std::vector<const pb::Thread*> threads;
  if (process.state() == pb::ZOMBIE) return threads;
  for (const pb::Thread& thread : process.threads())
    if (!thread.exited()) threads.push_back(&thread);
  return threads;
}

bool is_confined(const pb::Process& process) {
  return std::ranges::any_of(living_threads(process),
                             [](auto* thread) { return thread->seccomp_mode() != 0; });
}

// How many filters all threads have in common, from the oldest on.
int common_filters(const std::vector<const pb::Thread*>& threads) {
  const auto& first = threads.front()->seccomp_filter_ids();
  int common = first.size();
  for (const pb::Thread* thread : threads) {
    const auto& ids = thread->seccomp_filter_ids();
    auto [mine, theirs] = std::ranges::mismatch(first, ids);
    common = std::min(common, static_cast<int>(mine - first.begin()));
  }
  return common;
}

void install(PlanBuilder& plan, Actor tid, std::uint32_t id, std::uint32_t flags) {
  const pb::SeccompFilter& filter = *plan.index().seccomp_filter(id);  // there: validate()
  FilterProgram program{static_cast<std::uint16_t>(filter.program().size() / 8), {}, 0};
  DataId block = plan.bytes_of(program);
  plan.fix(block, offsetof(FilterProgram, filter), 8,
           Operand::data(plan.data(std::as_bytes(std::span(filter.program())))));
  plan.call_expecting(tid, 0, SYS_seccomp,
                      {SECCOMP_SET_MODE_FILTER, filter.flags() | flags, Operand::data(block)},
                      "seccomp filter");
}

}  // namespace

void plan_seccomp(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  const auto& processes = planning.model().tasks.processes();
  plan.phase("seccomp");
  for (const pb::Process& process : processes) {
    if (!is_confined(process)) continue;
    auto threads = living_threads(process);
    for (const pb::Thread& thread : process.threads()) plan.op(Op::Code::Unfilter, kSelf, {thread.tid()});
    if (threads.size() == 1) continue;
    for (int i = 0; i < common_filters(threads); i++)
      install(plan, threads[0]->tid(), threads[0]->seccomp_filter_ids(i), SECCOMP_FILTER_FLAG_TSYNC);
  }
  plan.phase("seccomp of threads");
  for (const pb::Process& process : processes) {
    if (!is_confined(process)) continue;
    auto threads = living_threads(process);
    int done = threads.size() == 1 ? 0 : common_filters(threads);
    for (const pb::Thread* thread : threads) {
      for (int i = done; i < thread->seccomp_filter_ids_size(); i++)
        install(plan, thread->tid(), thread->seccomp_filter_ids(i), 0);
      if (thread->seccomp_mode() == kModeStrict)
        plan.call(thread->tid(), SYS_prctl, {PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0},
                  "seccomp strict mode");
    }
  }
}

}  // namespace bpfckpt::restore
