// SPDX-License-Identifier: Apache-2.0
#include "kernel/features.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/fd.h"
#include "kernel/clamps.h"
#include "kernel/cpu.h"
#include "kernel/network_lock.h"
#include "kernel/security_label.h"
#include "kernel/session_keyring.h"
#include "kernel/yama.h"

namespace bpfckpt::kernel {
namespace {

Presence yes() {
  return {true, {}};
}
Presence no(std::string why) {
  return {false, std::move(why)};
}
Presence no_errno() {
  return no(std::strerror(errno));
}

// A call with arguments that are wrong on purpose: the kernel knows it if it complains about them.
Presence complains(long result, int complaint) {
  if (result < 0 && errno != complaint) return no_errno();
  return yes();
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

Presence probe_btf() {
  return ::access("/sys/kernel/btf/vmlinux", R_OK) == 0 ? yes() : no_errno();
}

// An iterator's target is the kernel function bpf_iter_NAME (include/linux/bpf.h: DEFINE_BPF_ITER_FUNC).
Presence probe_iterators() {
  std::unique_ptr<btf, decltype(&btf__free)> types(btf__load_vmlinux_btf(), &btf__free);
  if (!types) return no("no BTF of the kernel");
  for (const char* name : {"bpf_iter_task", "bpf_iter_task_file", "bpf_iter_task_vma"})
    if (btf__find_by_name_kind(types.get(), name, BTF_KIND_FUNC) < 0) return no(fmt::format("no {}", name));
  return yes();
}

Presence probe_bpf_loop() {
  // As a socket filter: tracing programs cannot be probed without something to attach to.
  int result = libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER, BPF_FUNC_loop, nullptr);
  if (result == 1) return yes();
  return no(result == 0 ? "unknown to this kernel" : std::strerror(-result));
}

Presence probe_bpffs() {
  Fd fd(static_cast<int>(::syscall(SYS_fsopen, "bpf", FSOPEN_CLOEXEC)));
  return fd ? yes() : no_errno();
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

Presence probe_map_files() {
  auto len_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Mapping page(::mmap(nullptr, len_bytes, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0), len_bytes);
  if (page.data() == MAP_FAILED) return no_errno();
  auto start = reinterpret_cast<std::uintptr_t>(page.data());
  auto path = fmt::format("/proc/self/map_files/{:x}-{:x}", start, start + len_bytes);
  return Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)) ? yes() : no_errno();
}

Presence probe_process_vm() {
  char from = 1, to = 0;
  iovec remote{&from, 1}, local{&to, 1};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == 1 ? yes() : no_errno();
}

Presence probe_pidfd_getfd() {
  return complains(::syscall(SYS_pidfd_getfd, -1, 0, 0), EBADF);
}

Presence probe_futex_waitv() {
  constexpr long kFutexWaitv = 449;  // the same number on every architecture
  return complains(::syscall(kFutexWaitv, nullptr, 0, 0, nullptr, 0), EINVAL);
}

Presence probe_executable_memfd() {
  constexpr unsigned kMfdExec = 0x10;  // since 6.3
  Fd fd(static_cast<int>(::syscall(SYS_memfd_create, "probe", MFD_CLOEXEC | kMfdExec)));
  // A kernel that does not know the flag has no sysctl that forbids it.
  if (!fd && errno == EINVAL) fd.reset(::memfd_create("probe", MFD_CLOEXEC));
  return fd ? yes() : no_errno();
}

// include/uapi/linux/fs.h: struct pm_scan_arg and struct page_region, since 6.7
struct PmScanArg {
  std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static_assert(sizeof(PmScanArg) == 96);

Presence probe_pagemap_scan() {
  Fd fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!fd) return no_errno();
  constexpr std::uint64_t kPageIsPresent = 1 << 3;
  struct {
    std::uint64_t start, end, categories;
  } region{};
  auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  PmScanArg scan{};
  scan.size = sizeof(scan);
  scan.start = reinterpret_cast<std::uintptr_t>(&region) & ~(page_bytes - 1);
  scan.end = scan.start + page_bytes;
  scan.vec = reinterpret_cast<std::uintptr_t>(&region);
  scan.vec_len = 1;
  scan.category_mask = kPageIsPresent;
  scan.return_mask = kPageIsPresent;
  return ::ioctl(fd.get(), _IOWR('f', 16, PmScanArg), &scan) >= 0 ? yes() : no_errno();
}

Presence probe_netfilter_links() {
  return has_netfilter_links() ? yes() : no("needs Linux 6.4 with netfilter");
}

Presence probe_tcx_links() {
  return has_tcx_links() ? yes() : no("needs Linux 6.6");
}

// Whether the kernel knows a call, and lets us make it, that was given nonsense.
Presence known(long result) {
  if (result < 0 && (errno == ENOSYS || errno == EPERM || errno == EACCES)) return no_errno();
  return yes();
}
// Whether the call gave a descriptor, which is closed.
Presence gives_fd(long result) {
  return Fd(static_cast<int>(result)) ? yes() : no_errno();
}

Presence probe_seccomp_filters() {
  std::unique_ptr<btf, decltype(&btf__free)> types(btf__load_vmlinux_btf(), &btf__free);
  if (!types) return no("no BTF of the kernel");
  return btf__find_by_name_kind(types.get(), "seccomp_get_filter", BTF_KIND_FUNC) >= 0
             ? yes()
             : no("no seccomp_get_filter");
}

Presence probe_timer_ids() {
  constexpr int kPrTimerCreateRestoreIds = 77, kGet = 2;  // include/uapi/linux/prctl.h, since 6.16
  return ::prctl(kPrTimerCreateRestoreIds, kGet, 0, 0, 0) >= 0 ? yes() : no_errno();
}

Presence probe_utilization_clamps() {
  return own_clamps() ? yes() : no("not shown");
}

Presence probe_aio() {
  return known(::syscall(SYS_io_setup, 0, nullptr));
}
Presence probe_io_uring() {
  return known(::syscall(SYS_io_uring_setup, 0, nullptr));
}
Presence probe_userfaultfd() {
  return gives_fd(::syscall(SYS_userfaultfd, O_CLOEXEC));
}

Presence probe_userfaultfd_wp() {
  Fd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC)));
  if (!fd) return no_errno();
  uffdio_api api{UFFD_API, 0, 0};
  if (::ioctl(fd.get(), UFFDIO_API, &api) != 0) return no_errno();
  return (api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0 ? yes() : no("not among its features");
}

Presence probe_mqueue() {
  return known(::syscall(SYS_mq_open, "bpfckpt-no-such-queue", O_RDONLY, 0, nullptr));
}
Presence probe_sysvipc() {
  return known(::syscall(SYS_shmget, 0 /*IPC_PRIVATE*/, 0, 0));
}
Presence probe_inotify() {
  return gives_fd(::syscall(SYS_inotify_init1, O_CLOEXEC));
}
Presence probe_fanotify() {
  return gives_fd(::syscall(SYS_fanotify_init, 1 /*FAN_CLOEXEC*/, 0));
}
Presence probe_landlock() {
  constexpr long kCreateRuleset = 444;  // the same number on every architecture; flag 1: the version
  return ::syscall(kCreateRuleset, nullptr, 0, 1) >= 1 ? yes() : no_errno();
}
Presence probe_mseal() {
  constexpr long kMseal = 462;
  return known(::syscall(kMseal, 0, 0, 1));
}
Presence probe_mdwe() {
  constexpr int kPrGetMdwe = 66;
  return ::prctl(kPrGetMdwe, 0, 0, 0, 0) >= 0 ? yes() : no_errno();
}

Presence probe_guard_regions() {
  constexpr int kGuardInstall = 102;
  const auto len_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Mapping page(::mmap(nullptr, len_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), len_bytes);
  if (page.data() == MAP_FAILED) return no_errno();
  return ::madvise(page.data(), len_bytes, kGuardInstall) == 0 ? yes() : no_errno();
}

Presence probe_droppable() {
  constexpr int kMapDroppable = 0x08;
  const auto len_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Mapping page(::mmap(nullptr, len_bytes, PROT_READ, kMapDroppable | MAP_ANONYMOUS, -1, 0), len_bytes);
  return page.data() == MAP_FAILED ? no_errno() : yes();
}

Presence probe_protection_keys() {
  const long key = ::syscall(SYS_pkey_alloc, 0, 0);
  if (key < 0) return no_errno();
  ::syscall(SYS_pkey_free, key);
  return yes();
}
Presence probe_memory_policy() {
  return ::syscall(SYS_get_mempolicy, nullptr, nullptr, 0, nullptr, 0) == 0 ? yes() : no_errno();
}
Presence probe_hugetlb() {
  return gives_fd(::syscall(SYS_memfd_create, "probe", MFD_CLOEXEC | MFD_HUGETLB));
}
Presence probe_rseq() {
  return known(::syscall(SYS_rseq, nullptr, 0, ~0, 0));
}
Presence probe_seccomp_listener() {
  seccomp_notif_sizes sizes{};
  return ::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 ? yes() : no_errno();
}
Presence probe_pidfd_thread() {
  constexpr int kPidfdThread = O_EXCL;
  return gives_fd(::syscall(SYS_pidfd_open, ::getpid(), kPidfdThread));
}
Presence probe_perf_events() {
  return known(::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
}
Presence probe_overlayfs() {
  return gives_fd(::syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC));
}
Presence probe_avx() {
  constexpr std::uint64_t kYmm = 4;
  return (cpu_features().xfeatures & kYmm) != 0 ? yes() : no("not enabled");
}

Presence probe_tcp_repair() {
  constexpr int kTcpRepair = 19;  // include/uapi/linux/tcp.h
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  return ::setsockopt(fd.get(), IPPROTO_TCP, kTcpRepair, &on, sizeof on) == 0 ? yes() : no_errno();
}

// In a network namespace that goes with the process: on every interface of it there is something to attach.
Presence probe_clsact() {
  const pid_t child = ::fork();
  if (child < 0) return no_errno();
  if (child == 0) {
    ::libbpf_set_print(nullptr);
    if (::unshare(CLONE_NEWNET) != 0) ::_exit(2);
    ::_exit(NetworkLock::attach(LockMethod::Clsact) ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return yes();
  return no(WIFEXITED(status) && WEXITSTATUS(status) == 2 ? "no network namespace to try it in"
                                                          : "not attached");
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

constexpr const char* kLostKept = "restore of checkpoints that have it";
constexpr const char* kNeverKept = "nothing: no checkpoint has it";

constexpr auto kRequired = Feature::Need::Required;
constexpr auto kReplaced = Feature::Need::Replaced;
constexpr auto kKept = Feature::Need::Kept;

constexpr Feature kFeatures[] = {
    {"capabilities", kRequired, "reading and stopping any process, choosing pids",
     "capget(2): CAP_SYS_PTRACE, CAP_BPF, CAP_PERFMON, CAP_CHECKPOINT_RESTORE", "dump and restore", "",
     probe_capabilities},
    {"ptrace", kRequired, "stopping tasks and setting their registers", "kernel.yama.ptrace_scope is not 3",
     "dump and restore", "", probe_ptrace},
    {"btf", kRequired, "BPF programs that fit this kernel (CONFIG_DEBUG_INFO_BTF)",
     "/sys/kernel/btf/vmlinux can be read", "dump, diagnose and restore", "", probe_btf},
    {"bpf-iterators", kRequired, "reading tasks, open files and mappings",
     "BTF has bpf_iter_task, bpf_iter_task_file and bpf_iter_task_vma", "dump, diagnose and restore", "",
     probe_iterators},
    {"bpf-loop", kRequired, "walking the kernel's lists (since 5.17)",
     "a program that calls bpf_loop() loads", "dump, diagnose and restore", "", probe_bpf_loop},
    {"bpffs", kReplaced, "keeping loaded programs between runs", "fsopen(2) of bpf",
     "tens of milliseconds a dump", "the programs are loaded each time", probe_bpffs},
    {"map-files", kRequired, "sharing memory with the parasite",
     "a shared mapping of our own is opened below /proc/self/map_files", "dump", "", probe_map_files},
    {"process-vm", kRequired, "reading and writing the memory of targets", "process_vm_readv(2) of a byte",
     "dump and restore", "", probe_process_vm},
    {"pidfd-getfd", kRequired, "borrowing and handing over descriptors", "pidfd_getfd(2) says EBADF",
     "dump and restore", "", probe_pidfd_getfd},
    {"futex-waitv", kRequired, "a parasite that sees bpfckpt's death (since 5.16)",
     "futex_waitv(2) says EINVAL", "dump and restore", "", probe_futex_waitv},
    {"pagemap-scan", kReplaced, "finding the pages to keep (since 6.7)", "ioctl PAGEMAP_SCAN of a page",
     "time, in large and sparse address spaces", "reading the pagemap", probe_pagemap_scan},
    {"clone3-set-tid", kRequired, "restoring with the same pids",
     "clone3(2) with a pid that is taken says EEXIST", "restore", "", probe_clone3_set_tid},
    {"set-mm-map", kRequired, "restoring brk, arguments and auxv (CONFIG_CHECKPOINT_RESTORE)",
     "prctl PR_SET_MM_MAP_SIZE", "restore", "", probe_set_mm_map},
    {"executable-memfd", kRequired, "starting the stub that a restored tree is forked from",
     "memfd_create(2), with MFD_EXEC where it is known", "restore", "", probe_executable_memfd},
    {"seccomp-filters", kRequired, "reading the seccomp filters of processes",
     "BTF has seccomp_get_filter() (CONFIG_SECCOMP_FILTER, CONFIG_CHECKPOINT_RESTORE)",
     "dump of processes under a filter", "", probe_seccomp_filters},
    {"suspend-seccomp", kRequired, "working in processes under seccomp (CONFIG_CHECKPOINT_RESTORE)",
     "PTRACE_SEIZE with PTRACE_O_SUSPEND_SECCOMP", "dump and restore of processes under seccomp", "",
     probe_suspend_seccomp},
    {"timer-ids", kReplaced, "POSIX timers with the same ids (since 6.16)",
     "prctl PR_TIMER_CREATE_RESTORE_IDS", "time, where ids are large",
     "timers are made and deleted until the id comes", probe_timer_ids},
    {"netfilter-links", kReplaced, "dropping the packets of connections that nobody has (since 6.4)",
     "a link of a program to no family says EAFNOSUPPORT", "nothing",
     "tcx links, or clsact classifiers, on every interface", probe_netfilter_links},
    {"tcx-links", kReplaced, "the same where netfilter takes no BPF program (since 6.6)",
     "a link of a program to no interface says ENODEV", "nothing", "clsact classifiers on every interface",
     probe_tcx_links},
    {"clsact-classifiers", kReplaced, "the same where there are neither",
     "classifiers are attached in a network namespace of their own", "what peers send is answered by a reset",
     "--network-lock skip", probe_clsact},
    {"session-keyring", kReplaced, "a session keyring of its own for a tree of another session",
     "keyctl KEYCTL_JOIN_SESSION_KEYRING", "keys of bpfckpt's session are seen by the tree",
     "the tree has bpfckpt's", probe_session_keyring},
    // What a program may use. It is kept where there is something to keep, so that nothing is lost without it
    // but the restore of checkpoints that have it.
    {"utilization-clamps", kKept,
     "clamps of what the scheduler takes a thread's load for (CONFIG_UCLAMP_TASK)",
     "sched_getattr(2) shows bpfckpt's own", kLostKept, "", probe_utilization_clamps},
    {"tcp-repair", kKept, "TCP connections", "setsockopt(2) takes TCP_REPAIR", kLostKept, "",
     probe_tcp_repair},
    {"yama-tracers", kKept, "who may trace a process by PR_SET_PTRACER (Yama, CONFIG_KALLSYMS_ALL)",
     "/proc/kallsyms has ptracer_relations", kLostKept, "", probe_yama_tracers},
    {"apparmor", kKept, "profiles of AppArmor", "AppArmor labels tasks", kLostKept, "", probe_apparmor},
    {"aio", kKept, "io_setup(2) rings", "io_setup(2) says EINVAL", kLostKept, "", probe_aio},
    {"io-uring", kKept, "idle io_urings", "io_uring_setup(2) says EINVAL or EFAULT", kLostKept, "",
     probe_io_uring},
    {"userfaultfd", kReplaced, "userfaultfd(2) of programs; placing pages of large mappings at a restore",
     "userfaultfd(2) gives a descriptor", "restore of checkpoints that have it; time, in large mappings",
     "processes read their pages themselves", probe_userfaultfd},
    {"userfaultfd-wp", kKept, "write protection by userfaultfd",
     "UFFDIO_API has UFFD_FEATURE_PAGEFAULT_FLAG_WP", kLostKept, "", probe_userfaultfd_wp},
    {"mqueue", kKept, "POSIX message queues", "mq_open(2) says ENOENT", kLostKept, "", probe_mqueue},
    {"sysvipc", kKept, "System V IPC: attached shared memory", "shmget(2) says EINVAL", kLostKept, "",
     probe_sysvipc},
    {"inotify", kKept, "inotify", "inotify_init1(2) gives a descriptor", kLostKept, "", probe_inotify},
    {"fanotify", kKept, "fanotify", "fanotify_init(2) gives a descriptor", kLostKept, "", probe_fanotify},
    {"landlock", kKept, "Landlock: recognised, and refused", "landlock_create_ruleset(2) tells its version",
     kNeverKept, "", probe_landlock},
    {"mseal", kKept, "sealed memory (since 6.10)", "mseal(2) of nothing", kLostKept, "", probe_mseal},
    {"mdwe", kKept, "PR_SET_MDWE (since 6.3)", "prctl PR_GET_MDWE", kLostKept, "", probe_mdwe},
    {"guard-regions", kKept, "MADV_GUARD_INSTALL (since 6.13)", "madvise(2) of a page", kLostKept, "",
     probe_guard_regions},
    {"droppable-memory", kKept, "MAP_DROPPABLE (since 6.11): comes back as dropped", "mmap(2) of a page",
     kLostKept, "", probe_droppable},
    {"protection-keys", kKept, "memory protection keys", "pkey_alloc(2) gives a key", kLostKept, "",
     probe_protection_keys},
    {"memory-policy", kKept, "NUMA memory policies", "get_mempolicy(2)", kLostKept, "", probe_memory_policy},
    {"hugetlb", kKept, "files on huge pages", "memfd_create(2) with MFD_HUGETLB", kLostKept, "",
     probe_hugetlb},
    {"rseq", kKept, "restartable sequences", "rseq(2) says EINVAL", kLostKept, "", probe_rseq},
    {"seccomp-listener", kKept, "seccomp listeners: recognised, and refused",
     "seccomp SECCOMP_GET_NOTIF_SIZES", kNeverKept, "", probe_seccomp_listener},
    {"pidfd-thread", kKept, "pidfds of threads (since 6.9)", "pidfd_open(2) with PIDFD_THREAD", kLostKept, "",
     probe_pidfd_thread},
    {"perf-events", kKept, "perf events: recognised, and refused", "perf_event_open(2) says EFAULT",
     kNeverKept, "", probe_perf_events},
    {"overlayfs", kKept, "files on overlayfs", "fsopen(2) of overlay", kLostKept, "", probe_overlayfs},
    {"avx", kKept, "registers of AVX", "XCR0", kLostKept, "", probe_avx},
};

}  // namespace

std::span<const Feature> features() {
  return kFeatures;
}

const Feature* find_feature(std::string_view name) {
  for (const auto& feature : kFeatures)
    if (feature.name == name) return &feature;
  return nullptr;
}

std::string_view to_string(Feature::Need need) {
  switch (need) {
    case Feature::Need::Required:
      return "required";
    case Feature::Need::Replaced:
      return "replaced";
    case Feature::Need::Kept:
      return "kept";
  }
  return "?";
}

}  // namespace bpfckpt::kernel
