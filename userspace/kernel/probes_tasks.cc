// SPDX-License-Identifier: Apache-2.0
// Probes of what processes and threads have, and of how they are stopped and made.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "kernel/clamps.h"
#include "kernel/cpu.h"
#include "kernel/probes.h"
#include "kernel/security_label.h"
#include "kernel/session_keyring.h"
#include "kernel/yama.h"

namespace bpfckpt::kernel {

Presence probe_capabilities() {
  struct {
    unsigned bit;
    const char* name;
  } const wanted[] = {{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
                      {38, "CAP_PERFMON"},              // since 5.8
                      {39, "CAP_BPF"},                  // since 5.8
                      {40, "CAP_CHECKPOINT_RESTORE"}};  // since 5.9
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return no_errno();
  auto effective = data[0].effective | static_cast<std::uint64_t>(data[1].effective) << 32;
  // CAP_SYS_ADMIN stands in for the three that were split off it.
  bool admin = (effective >> CAP_SYS_ADMIN & 1) != 0;
  std::string missing;
  for (const auto& one : wanted) {
    if ((effective >> one.bit & 1) != 0 || (admin && one.bit != CAP_SYS_PTRACE)) continue;
    missing += (missing.empty() ? "" : ", ") + std::string(one.name);
  }
  return missing.empty() ? yes() : no("missing: " + missing);
}

Presence probe_ptrace() {
  // security/yama/yama_lsm.c: YAMA_SCOPE_NO_ATTACH
  Fd fd(::open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC));
  char scope = '0';
  if (fd && ::read(fd.get(), &scope, 1) == 1 && scope == '3') return no("kernel.yama.ptrace_scope is 3");
  return yes();
}

Presence probe_process_vm() {
  char from = 1, to = 0;
  iovec remote{&from, 1}, local{&to, 1};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == 1 ? yes() : no_errno();
}

Presence probe_pidfd_getfd() {
  return complains(::syscall(SYS_pidfd_getfd, -1, 0, 0), EBADF);
}

Presence probe_pidfd_thread() {
  constexpr int kPidfdThread = O_EXCL;
  return gives_fd(::syscall(SYS_pidfd_open, ::getpid(), kPidfdThread));
}

Presence probe_futex_waitv() {
  constexpr long kFutexWaitv = 449;  // the same number on every architecture
  return complains(::syscall(kFutexWaitv, nullptr, 0, 0, nullptr, 0), EINVAL);
}

Presence probe_clone3_set_tid() {
  // Our own pid is taken: the call ends with EEXIST before anything is made, if we may choose pids at all.
  pid_t taken = ::getpid();
  clone_args args{};
  args.exit_signal = SIGCHLD;
  args.set_tid = reinterpret_cast<std::uint64_t>(&taken);
  args.set_tid_size = 1;
  long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid == 0) ::_exit(0);
  return complains(pid, EEXIST);
}

Presence probe_set_mm_map() {
  unsigned size = 0;
  return ::prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) == 0 ? yes() : no_errno();
}

Presence probe_executable_memfd() {
  constexpr unsigned kMfdExec = 0x10;  // since 6.3
  Fd fd(static_cast<int>(::syscall(SYS_memfd_create, "probe", MFD_CLOEXEC | kMfdExec)));
  // A kernel that does not know the flag has no sysctl that forbids it.
  if (!fd && errno == EINVAL) fd.reset(::memfd_create("probe", MFD_CLOEXEC));
  return fd ? yes() : no_errno();
}

Presence probe_seccomp_filters() {
  return has_kernel_function("seccomp_get_filter");
}

Presence probe_suspend_seccomp() {
  const pid_t own = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return no_errno();
  if (child == 0) {
    // It does not outlive us, whatever happens to us.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != own) ::_exit(1);
    for (;;) ::pause();
  }
  const bool taken = ::ptrace(PTRACE_SEIZE, child, nullptr, PTRACE_O_SUSPEND_SECCOMP) == 0;
  const Presence presence = taken ? yes() : no_errno();
  ::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) continue;
  return presence;
}

Presence probe_seccomp_listener() {
  seccomp_notif_sizes sizes{};
  return ::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 ? yes() : no_errno();
}

Presence probe_timer_ids() {
  constexpr int kPrTimerCreateRestoreIds = 77, kGet = 2;  // include/uapi/linux/prctl.h, since 6.16
  return ::prctl(kPrTimerCreateRestoreIds, kGet, 0, 0, 0) >= 0 ? yes() : no_errno();
}

Presence probe_utilization_clamps() {
  return own_clamps() ? yes() : no("not shown");
}

Presence probe_session_keyring() {
  return can_join_session_keyring() ? yes() : no("not given");
}

Presence probe_yama_tracers() {
  if (::access("/proc/sys/kernel/yama", F_OK) != 0) return no("no Yama");
  return ptracer_relations() != 0 ? yes() : no("the kernel does not say where its list is");
}

Presence probe_apparmor() {
  return label_module() == LabelModule::AppArmor ? yes() : no("not at work");
}

Presence probe_landlock() {
  constexpr long kCreateRuleset = 444;  // the same number on every architecture; flag 1: the version
  return ::syscall(kCreateRuleset, nullptr, 0, 1) >= 1 ? yes() : no_errno();
}

Presence probe_rseq() {
  return known(::syscall(SYS_rseq, nullptr, 0, ~0, 0));
}

Presence probe_avx() {
  constexpr std::uint64_t kYmm = 4;
  return (cpu_features().xfeatures & kYmm) != 0 ? yes() : no("not enabled");
}

}  // namespace bpfckpt::kernel
