// SPDX-License-Identifier: Apache-2.0
#include "kernel/features.h"

#include "kernel/probes.h"

namespace bpfckpt::kernel {
namespace {

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
     "programs of bpf_iter_task, bpf_iter_task_file and bpf_iter_task_vma load (CONFIG_BPF_EVENTS)",
     "dump, diagnose and restore", "", probe_iterators},
    {"bpf-read-kernel", kRequired,
     "following pointers of the kernel, which one that is locked down for confidentiality forbids",
     "an iterator's program that calls bpf_probe_read_kernel() loads", "dump, diagnose and restore", "",
     probe_bpf_read_kernel},
    {"bpf-loop", kRequired, "walking the kernel's lists (since 5.17)", "the verifier knows bpf_loop()",
     "dump, diagnose and restore", "", probe_bpf_loop},
    {"bpf-jit", kRequired,
     "the same: callbacks only run compiled (CONFIG_BPF_JIT, net.core.bpf_jit_enable is not 0)",
     "a program that was loaded is compiled", "dump, diagnose and restore", "", probe_bpf_jit},
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
