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
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/fd.h"
#include "kernel/network_lock.h"

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

constexpr Feature kFeatures[] = {
    {"capabilities", "reading and stopping any process, choosing pids", "dump and restore", "",
     probe_capabilities},
    {"ptrace", "stopping tasks and setting their registers", "dump and restore", "", probe_ptrace},
    {"btf", "BPF programs that fit this kernel (CONFIG_DEBUG_INFO_BTF)", "dump, diagnose and restore", "",
     probe_btf},
    {"bpf-iterators", "reading tasks, open files and mappings", "dump, diagnose and restore", "",
     probe_iterators},
    {"bpf-loop", "walking the kernel's lists", "dump, diagnose and restore", "", probe_bpf_loop},
    {"bpffs", "keeping loaded programs between runs", "tens of milliseconds a dump",
     "the programs are loaded each time", probe_bpffs},
    {"map-files", "sharing memory with the parasite", "dump", "", probe_map_files},
    {"process-vm", "reading and writing the memory of targets", "dump and restore", "", probe_process_vm},
    {"pidfd-getfd", "borrowing and handing over descriptors", "dump and restore", "", probe_pidfd_getfd},
    {"futex-waitv", "a parasite that sees bpfckpt's death", "dump and restore", "", probe_futex_waitv},
    {"pagemap-scan", "finding the pages to keep", "time, in large and sparse address spaces",
     "reading the pagemap", probe_pagemap_scan},
    {"clone3-set-tid", "restoring with the same pids", "restore", "", probe_clone3_set_tid},
    {"set-mm-map", "restoring brk, arguments and auxv (CONFIG_CHECKPOINT_RESTORE)", "restore", "",
     probe_set_mm_map},
    {"executable-memfd", "starting the stub that a restored tree is forked from", "restore", "",
     probe_executable_memfd},
    {"netfilter-links", "dropping the packets of connections that nobody has", "nothing",
     "tcx links, or clsact classifiers, on every interface", probe_netfilter_links},
    {"tcx-links", "the same where netfilter takes no BPF program",
     "an unfinished network lock holds for up to a minute when bpfckpt is killed",
     "clsact classifiers on every interface", probe_tcx_links},
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

}  // namespace bpfckpt::kernel
