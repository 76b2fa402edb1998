// SPDX-License-Identifier: Apache-2.0
// Probes of what processes and threads have, and of how they are stopped and made.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
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
namespace {

// Of a child that does nothing and dies with us, seized with these options.
Presence with_seized_child(unsigned long options, Presence (*look)(pid_t)) {
  const pid_t own = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return no_errno();
  if (child == 0) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != own) ::_exit(1);
    for (;;) ::pause();
  }
  const Presence presence = ::ptrace(PTRACE_SEIZE, child, nullptr, options) == 0 ? look(child) : no_errno();
  ::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) continue;
  return presence;
}

}  // namespace

// _exit() before anything of ours is written twice.
Presence in_child(int (*attempt)()) {
  const pid_t child = ::fork();
  if (child < 0) return no_errno();
  if (child == 0) ::_exit(attempt());
  int status = 0;
  while (::waitpid(child, &status, __WALL) < 0 && errno == EINTR) continue;
  if (!WIFEXITED(status)) return no("the process that tried it was killed");
  return WEXITSTATUS(status) == 0 ? yes() : no(std::strerror(WEXITSTATUS(status)));
}

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
  return with_seized_child(PTRACE_O_SUSPEND_SECCOMP, [](pid_t) { return yes(); });
}

Presence probe_syscall_dispatch() {
  return with_seized_child(0, [](pid_t child) {
    constexpr auto kGetSyscallUserDispatch = static_cast<__ptrace_request>(0x4211);
    struct {
      std::uint64_t mode, selector, offset, len;
    } dispatch{};
    if (::ptrace(PTRACE_INTERRUPT, child, nullptr, nullptr) != 0) return no_errno();
    while (::waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) continue;
    return ::ptrace(kGetSyscallUserDispatch, child, sizeof dispatch, &dispatch) == 0 ? yes() : no_errno();
  });
}

// As the tracer: CONFIG_PROC_MEM_FORCE_PTRACE and proc_mem.force_override=ptrace let nobody else
// (fs/proc/base.c:proc_mem_foll_force()).
Presence probe_proc_mem_write() {
  static const char kReadOnly = 'x';
  return with_seized_child(0, [](pid_t child) {
    const Fd memory(::open(fmt::format("/proc/{}/mem", child).c_str(), O_WRONLY | O_CLOEXEC));
    if (!memory) return no_errno();
    const char other = 'y';
    return ::pwrite(memory.get(), &other, 1, reinterpret_cast<off_t>(&kReadOnly)) == 1 ? yes() : no_errno();
  });
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

Presence probe_kernel_symbols() {
  return ::access("/proc/kallsyms", F_OK) == 0 ? yes() : no_errno();
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

Presence probe_scheduler_slices() {
  return has_kernel_field("sched_entity", "custom_slice");
}
Presence probe_core_scheduling() {
  constexpr int kGet = 0, kOfThread = 0;  // PR_SCHED_CORE_GET, PIDTYPE_PID
  std::uint64_t cookie = 0;
  return ::prctl(PR_SCHED_CORE, kGet, 0, kOfThread, &cookie) == 0 ? yes() : no_errno();
}
Presence probe_membarrier() {
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) >= 0 ? yes() : no_errno();
}
Presence probe_io_priority() {
  constexpr int kOfThread = 1;  // IOPRIO_WHO_PROCESS
  return ::syscall(SYS_ioprio_get, kOfThread, 0) >= 0 ? yes() : no_errno();
}
Presence probe_posix_timers() {
  return known(::syscall(SYS_timer_delete, -1));
}
Presence probe_rseq_extensible() {
  constexpr unsigned long kRseqFeatureSize = 27;  // AT_RSEQ_FEATURE_SIZE
  return ::getauxval(kRseqFeatureSize) != 0 ? yes() : no("not in the auxiliary vector");
}
Presence probe_keys() {
  const long serial = ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0);
  return serial < 0 && errno == ENOKEY ? yes() : known(serial);
}

// How a process ended is told when it was waited for, to those who had a descriptor before.
Presence probe_pidfd_exit() {
  struct {
    std::uint64_t mask, cgroup_id;
    std::uint32_t ids[11];
    std::int32_t exit_code;
  } info{};
  static_assert(sizeof info == 64);  // struct pidfd_info
  constexpr std::uint64_t kExit = 1 << 3;
  const pid_t child = ::fork();
  if (child < 0) return no_errno();
  if (child == 0) ::_exit(0);
  const Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  while (::waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) continue;
  info.mask = kExit;
  if (::ioctl(fd.get(), _IOWR(0xff, 11, decltype(info)), &info) != 0) return no_errno();
  return (info.mask & kExit) != 0 ? yes() : no("not told");
}

// Refused for the pid, which is our own, where the flags are known.
Presence probe_pidfd_autokill() {
  constexpr std::uint64_t kAutoreap = std::uint64_t{1} << 34, kAutokill = std::uint64_t{1} << 36;
  pid_t taken = ::getpid();
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | kAutoreap | kAutokill;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.set_tid = reinterpret_cast<std::uint64_t>(&taken);
  args.set_tid_size = 1;
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) ::_exit(0);
  return complains(pid, EEXIST);
}

Presence probe_shadow_stack() {
  constexpr int kStatus = 0x5005;  // ARCH_SHSTK_STATUS
  std::uint64_t features = 0;
  return ::syscall(SYS_arch_prctl, kStatus, &features) == 0 ? yes() : no_errno();
}
Presence probe_tagged_addresses() {
  constexpr int kGetUntagMask = 0x4001;  // ARCH_GET_UNTAG_MASK
  std::uint64_t mask = 0;
  return ::syscall(SYS_arch_prctl, kGetUntagMask, &mask) == 0 ? yes() : no_errno();
}
Presence probe_cpuid_faulting() {
  constexpr int kGet = 0x1011, kSet = 0x1012;  // ARCH_GET_CPUID, ARCH_SET_CPUID
  const long enabled = ::syscall(SYS_arch_prctl, kGet, 0);
  return ::syscall(SYS_arch_prctl, kSet, enabled) == 0 ? yes() : no_errno();
}
Presence probe_speculation_choice() {
  for (const int what : {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH}) {
    const int state = ::prctl(PR_GET_SPECULATION_CTRL, what, 0, 0, 0);
    if (state > 0 && (state & PR_SPEC_PRCTL) != 0) return yes();
  }
  return no("processor and kernel leave no choice");
}
Presence probe_io_ports() {
  return known(::syscall(SYS_ioperm, 0, 0, 0));
}
Presence probe_local_descriptors() {
  constexpr int kRead = 0;
  return known(::syscall(SYS_modify_ldt, kRead, nullptr, 0));
}

}  // namespace bpfckpt::kernel
