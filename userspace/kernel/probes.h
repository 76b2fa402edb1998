// SPDX-License-Identifier: Apache-2.0
// The probes of kernel/features.cc, and what they have in common.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/fd.h"
#include "kernel/features.h"

namespace bpfckpt::kernel {

inline Presence yes() {
  return {true, {}};
}
inline Presence no(std::string why) {
  return {false, std::move(why)};
}
inline Presence no_errno() {
  return no(std::strerror(errno));
}

// A call with arguments that are wrong on purpose: the kernel knows it if it complains about them.
inline Presence complains(long result, int complaint) {
  if (result < 0 && errno != complaint) return no_errno();
  return yes();
}
// Whether the kernel knows a call, and lets us make it, that was given nonsense.
inline Presence known(long result) {
  if (result < 0 && (errno == ENOSYS || errno == EPERM || errno == EACCES)) return no_errno();
  return yes();
}
// Whether the call gave a descriptor, which is closed.
inline Presence gives_fd(long result) {
  return Fd(static_cast<int>(result)) ? yes() : no_errno();
}

// By the kernel's BTF.
Presence has_kernel_field(const char* structure, const char* field);
Presence has_kernel_function(const char* name);

// kernel/probes_bpf.cc
Presence probe_btf();
Presence probe_iterators();
Presence probe_bpf_read_kernel();
Presence probe_bpf_jit();
Presence probe_bpf_loop();
Presence probe_bpffs();
Presence probe_netfilter_links();
Presence probe_tcx_links();
Presence probe_clsact();

// kernel/probes_tasks.cc
Presence probe_capabilities();
Presence probe_ptrace();
Presence probe_process_vm();
Presence probe_pidfd_getfd();
Presence probe_pidfd_thread();
Presence probe_futex_waitv();
Presence probe_clone3_set_tid();
Presence probe_set_mm_map();
Presence probe_executable_memfd();
Presence probe_seccomp_filters();
Presence probe_suspend_seccomp();
Presence probe_seccomp_listener();
Presence probe_timer_ids();
Presence probe_utilization_clamps();
Presence probe_session_keyring();
Presence probe_yama_tracers();
Presence probe_apparmor();
Presence probe_landlock();
Presence probe_rseq();
Presence probe_avx();

// kernel/probes_memory.cc
Presence probe_map_files();
Presence probe_pagemap_scan();
Presence probe_userfaultfd();
Presence probe_userfaultfd_wp();
Presence probe_mseal();
Presence probe_mdwe();
Presence probe_guard_regions();
Presence probe_droppable();
Presence probe_protection_keys();
Presence probe_memory_policy();
Presence probe_hugetlb();

// kernel/probes_files.cc
Presence probe_aio();
Presence probe_io_uring();
Presence probe_mqueue();
Presence probe_sysvipc();
Presence probe_inotify();
Presence probe_fanotify();
Presence probe_perf_events();
Presence probe_overlayfs();
Presence probe_tcp_repair();

}  // namespace bpfckpt::kernel
