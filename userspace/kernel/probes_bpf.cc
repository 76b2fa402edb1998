// SPDX-License-Identifier: Apache-2.0
// Probes of BPF: programs, and what they are attached to.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "kernel/network_lock.h"
#include "kernel/probes.h"

namespace bpfckpt::kernel {

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

Presence probe_netfilter_links() {
  return has_netfilter_links() ? yes() : no("needs Linux 6.4 with netfilter");
}

Presence probe_tcx_links() {
  return has_tcx_links() ? yes() : no("needs Linux 6.6");
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

}  // namespace bpfckpt::kernel
