// SPDX-License-Identifier: Apache-2.0
// Probes of BPF: programs, and what they are attached to.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string_view>

#include "kernel/network_lock.h"
#include "kernel/probes.h"

namespace bpfckpt::kernel {

Presence probe_btf() {
  return ::access("/sys/kernel/btf/vmlinux", R_OK) == 0 ? yes() : no_errno();
}

namespace {

// Null where the kernel has none. Read once: it takes milliseconds.
const btf* kernel_types() {
  static const std::unique_ptr<btf, decltype(&btf__free)> types(btf__load_vmlinux_btf(), &btf__free);
  return types.get();
}

// Members of anonymous structures and unions within are the structure's own.
bool has_member(const btf* types, __u32 id, std::string_view name) {
  const btf_type* type = btf__type_by_id(types, id);
  if (type == nullptr || !btf_is_composite(type)) return false;
  const btf_member* members = btf_members(type);
  return std::any_of(members, members + btf_vlen(type), [&](const btf_member& member) {
    const std::string_view own = btf__name_by_offset(types, member.name_off);
    return own == name || (own.empty() && has_member(types, member.type, name));
  });
}

constexpr bpf_insn kExit = {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};

constexpr bpf_insn move(std::uint8_t to, std::int32_t value) {
  return {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = to, .src_reg = 0, .off = 0, .imm = value};
}

constexpr bpf_insn kNothing[] = {move(BPF_REG_0, 0), kExit};

Fd smallest_program() {
  return Fd(
      ::bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "probe", "GPL", kNothing, std::size(kNothing), nullptr));
}

// A program of the iterator whose target is the kernel function `target`
// (include/linux/bpf.h: DEFINE_BPF_ITER_FUNC). It is loaded and goes: nothing is attached.
Presence loads_iterator(const char* target, std::span<const bpf_insn> code) {
  const btf* types = kernel_types();
  if (types == nullptr) return no("no BTF of the kernel");
  const int id = btf__find_by_name_kind(types, target, BTF_KIND_FUNC);
  if (id < 0) return no(fmt::format("no {}", target));
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = BPF_TRACE_ITER;
  options.attach_btf_id = static_cast<__u32>(id);
  const Fd program(
      ::bpf_prog_load(BPF_PROG_TYPE_TRACING, "probe", "GPL", code.data(), code.size(), &options));
  return program ? yes() : no(fmt::format("{}: {}", target, std::strerror(errno)));
}

}  // namespace

Presence has_kernel_field(const char* structure, const char* field) {
  const btf* types = kernel_types();
  if (types == nullptr) return no("no BTF of the kernel");
  const int id = btf__find_by_name_kind(types, structure, BTF_KIND_STRUCT);
  return id >= 0 && has_member(types, static_cast<__u32>(id), field)
             ? yes()
             : no(fmt::format("no {}.{}", structure, field));
}

Presence has_kernel_function(const char* name) {
  const btf* types = kernel_types();
  if (types == nullptr) return no("no BTF of the kernel");
  return btf__find_by_name_kind(types, name, BTF_KIND_FUNC) >= 0 ? yes() : no(fmt::format("no {}()", name));
}

Presence probe_iterators() {
  for (const char* target : {"bpf_iter_task", "bpf_iter_task_file", "bpf_iter_task_vma"})
    if (Presence loaded = loads_iterator(target, kNothing); !loaded.there) return loaded;
  return yes();
}

// A kernel that is locked down for confidentiality does not know the helper
// (kernel/trace/bpf_trace.c:bpf_tracing_func_proto(), LOCKDOWN_BPF_READ_KERNEL).
Presence probe_bpf_read_kernel() {
  constexpr std::int32_t kBytes = 8;
  constexpr bpf_insn kCode[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10, .off = 0, .imm = 0},
      {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .src_reg = 0, .off = 0, .imm = -kBytes},
      move(BPF_REG_2, kBytes),
      move(BPF_REG_3, 0),
      {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_probe_read_kernel},
      move(BPF_REG_0, 0),
      kExit};
  return loads_iterator("bpf_iter_task", kCode);
}

// The interpreter runs no callbacks: kernel/bpf/verifier.c:fixup_call_args().
Presence probe_bpf_jit() {
  const Fd program = smallest_program();
  if (!program) return no_errno();
  bpf_prog_info info{};
  __u32 len_bytes = sizeof info;
  if (::bpf_obj_get_info_by_fd(program.get(), &info, &len_bytes) != 0) return no_errno();
  return info.jited_prog_len != 0 ? yes() : no("a program is not compiled: net.core.bpf_jit_enable");
}

Presence probe_bpf_loop() {
  // libbpf says yes where the verifier does not say no: also where it was not asked, as we may load nothing.
  if (!smallest_program()) return no_errno();
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
