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

// What `attempt` gives, 0 or an errno, in a process of its own, which it may change.
Presence in_child(int (*attempt)());
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
Presence probe_syscall_dispatch();
Presence probe_proc_mem_write();
Presence probe_seccomp_listener();
Presence probe_timer_ids();
Presence probe_utilization_clamps();
Presence probe_session_keyring();
Presence probe_kernel_symbols();
Presence probe_yama_tracers();
Presence probe_apparmor();
Presence probe_landlock();
Presence probe_rseq();
Presence probe_avx();
Presence probe_scheduler_slices();
Presence probe_core_scheduling();
Presence probe_membarrier();
Presence probe_io_priority();
Presence probe_posix_timers();
Presence probe_rseq_extensible();
Presence probe_keys();
Presence probe_pidfd_exit();
Presence probe_pidfd_autokill();
Presence probe_shadow_stack();
Presence probe_tagged_addresses();
Presence probe_cpuid_faulting();
Presence probe_speculation_choice();
Presence probe_io_ports();
Presence probe_local_descriptors();

// kernel/probes_memory.cc
Presence probe_map_files();
Presence probe_pagemap_scan();
Presence probe_userfaultfd();
Presence probe_userfaultfd_wp();
Presence probe_uffd_unpopulated();
Presence probe_uffd_async();
Presence probe_mseal();
Presence probe_mdwe();
Presence probe_guard_regions();
Presence probe_droppable();
Presence probe_protection_keys();
Presence probe_memory_policy();
Presence probe_hugetlb();
Presence probe_guard_scan();
Presence probe_mdwe_no_inherit();
Presence probe_mapping_names();
Presence probe_huge_page_advice();
Presence probe_thp_except_advised();
Presence probe_mergeable_memory();
Presence probe_memory_merge();
Presence probe_home_node();
Presence probe_weighted_policy();
Presence probe_memfd_exec_seal();

// kernel/probes_files.cc
Presence probe_epoll();
Presence probe_eventfd();
Presence probe_signalfd();
Presence probe_timerfd();
Presence probe_timerfd_ticks();
Presence probe_file_locks();
Presence probe_aio();
Presence probe_aio_inherited();
Presence probe_io_uring();
Presence probe_io_uring_no_array();
Presence probe_io_uring_hybrid();
Presence probe_io_uring_mixed_cqe();
Presence probe_io_uring_mixed_sqe();
Presence probe_io_uring_clock();
Presence probe_mqueue();
Presence probe_sysvipc();
Presence probe_inotify();
Presence probe_inotify_next_watch();
Presence probe_fanotify();
Presence probe_fanotify_decides();
Presence probe_fanotify_preaccess();
Presence probe_perf_events();
Presence probe_overlayfs();
Presence probe_tun();

// kernel/probes_sockets.cc
Presence probe_unix_sockets();
Presence probe_unix_oob();
Presence probe_unix_inq();
Presence probe_pass_pidfd();
Presence probe_pass_rights();
Presence probe_receive_priority();
Presence probe_busy_poll();
Presence probe_internet_sockets();
Presence probe_ipv6();
Presence probe_udp_lite();
Presence probe_local_port_range();
Presence probe_tcp_repair();
Presence probe_tcp_timeouts();
Presence probe_tcp_microseconds();
Presence probe_tcp_md5();
Presence probe_tcp_ao();
Presence probe_packet_sockets();
Presence probe_packet_vnet_header();

}  // namespace bpfckpt::kernel
