// SPDX-License-Identifier: Apache-2.0
#include "collect/task_marks.h"

#include <linux/landlock.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <thread>

#include "collect/reader.h"

namespace bpfckpt::collect {
namespace {

struct Own {
  ns_part namespaces{};
  std::uint64_t thread_flags = 0;
  TaskMarks::Security security{};
  std::uint64_t session_keyring = 0;
};

// What the records say of the calling thread.
Result<Own> read_own(int link, Records& scratch) {
  scratch.clear();
  TRY(read_all(link, scratch));
  const auto tid = static_cast<std::uint32_t>(::syscall(SYS_gettid));
  const task_record* own = nullptr;
  TRY(scratch.for_each([&](const record_head& head) -> Result<void> {
    auto task = head.type == RECORD_TASK ? as<task_record>(head) : nullptr;
    if (task != nullptr && task->tid == tid) own = task;
    return {};
  }));
  if (own == nullptr) return fail(Error::bug("the iterator does not show the reader itself"));
  Own result{.namespaces = own->ns, .thread_flags = own->thread_flags};
  // Of a leader's credentials there is one record for all threads that share them.
  TRY(scratch.for_each([&](const record_head& head) -> Result<void> {
    auto cred = head.type == RECORD_CRED ? as<cred_record>(head) : nullptr;
    if (cred == nullptr || cred->cred != own->cred) return {};
    std::ranges::copy(cred->security, result.security.begin());
    result.session_keyring = cred->session_keyring;
    return {};
  }));
  return result;
}

// The one bit of thread_info.flags that is set whenever `set(true)` was called, and never after `set(false)`;
// others come and go by themselves. 0 if there is none, or nothing can be set.
template <class Set>
Result<std::uint64_t> find_bit(int link, Records& scratch, const Set& set) {
  constexpr int kRounds = 12;
  std::uint64_t bits = ~std::uint64_t{0};
  for (int round = 0; round < kRounds && (round < 2 || std::popcount(bits) > 1); round++) {
    TRY_ASSIGN(const Own off, read_own(link, scratch));
    if (!set(true)) return 0;
    Result<Own> on = read_own(link, scratch);
    set(false);
    if (!on) return fail(std::move(on.error()));
    bits &= on->thread_flags & ~off.thread_flags;
  }
  return std::popcount(bits) == 1 ? bits : 0;
}

bool set_no_tsc(bool no_tsc) {
  return ::prctl(PR_SET_TSC, no_tsc ? PR_TSC_SIGSEGV : PR_TSC_ENABLE, 0, 0, 0) == 0;
}

// Of x86 (arch/x86/include/uapi/asm/prctl.h): ENODEV where the CPU has no such thing.
bool set_no_cpuid([[maybe_unused]] bool no_cpuid) {
#ifdef SYS_arch_prctl
  constexpr int kArchSetCpuid = 0x1012;
  return ::syscall(SYS_arch_prctl, kArchSetCpuid, no_cpuid ? 0 : 1) == 0;
#else
  return false;
#endif
}

// False where there is no Landlock.
bool enter_landlock_domain() {
  landlock_ruleset_attr rules{};
  rules.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE;
  const Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0)));
  return ruleset && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) == 0;
}

}  // namespace

Result<TaskMarks> find_task_marks(const Programs& programs, Records& scratch) {
  TRY_ASSIGN(const Fd link, make_link(programs.fd(Program::DumpTasks), Scope::process(::getpid())));
  TaskMarks marks;
  TRY_ASSIGN(const Own own, read_own(link.get(), scratch));
  marks.own_namespaces = own.namespaces;
  marks.own_security = own.security;
  marks.own_session_keyring = own.session_keyring;
  TRY_ASSIGN(marks.no_tsc, find_bit(link.get(), scratch, set_no_tsc));
  TRY_ASSIGN(marks.no_cpuid, find_bit(link.get(), scratch, set_no_cpuid));
  scratch.clear();
  return marks;
}

Result<int> find_landlock_word(const Programs& programs, const TaskMarks::Security& own) {
  TRY_ASSIGN(const Fd link, make_link(programs.fd(Program::DumpTasks), Scope::process(::getpid())));
  Records scratch;
  Result<int> word = -1;
  // Credentials are a thread's own, and gone with it.
  std::thread([&] {
    if (!enter_landlock_domain()) return;
    Result<Own> inside = read_own(link.get(), scratch);
    if (!inside) {
      word = fail(std::move(inside.error()));
      return;
    }
    // The domain comes first in struct landlock_cred_security (security/landlock/cred.h).
    for (std::size_t i = 0; i < own.size() && *word < 0; i++)
      if (inside->security[i] != own[i]) word = static_cast<int>(i);
  }).join();
  return word;
}

}  // namespace bpfckpt::collect
