// SPDX-License-Identifier: Apache-2.0
#include "kernel/network_lock_hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "kernel/network_bpf.h"

namespace bpfckpt::kernel {
namespace {

// union bpf_attr, as far as BPF_LINK_CREATE reads it for these two.
struct LinkCreate {
  std::uint32_t program = 0;
  std::uint32_t interface = 0;
  std::uint32_t attach_type = 0;
  std::uint32_t flags = 0;
  struct {
    std::uint32_t family = 0;
    std::uint32_t hook = 0;
    std::int32_t priority = 0;
    std::uint32_t flags = 0;
  } netfilter;
  std::uint64_t more[4] = {};
};

constexpr std::uint32_t kFamilies[] = {2, 10};  // NFPROTO_IPV4, NFPROTO_IPV6
constexpr std::uint32_t kHooks[] = {1, 3};      // NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT
// Before connection tracking sees what is dropped (NF_IP_PRI_CONNTRACK, -200). Two BPF programs of one
// priority do not go (net/netfilter/core.c:nf_hook_entries_grow(), EBUSY): each lock takes another one.
constexpr std::int32_t kFirstPriority = -100'000;
constexpr int kPriorities = 10'000;

int create_link(const LinkCreate& attributes) {
  long fd = ::syscall(SYS_bpf, BPF_LINK_CREATE, &attributes, sizeof attributes);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

// A program that lets everything pass.
Fd trivial_program(int type, int attach_type) {
  const bpf_insn code[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = static_cast<bpf_attach_type>(attach_type);
  return Fd(::bpf_prog_load(static_cast<bpf_prog_type>(type), "probe", "GPL", code, 2, &options));
}

std::vector<std::uint32_t> interfaces() {
  std::vector<std::uint32_t> indexes;
  struct if_nameindex* all = ::if_nameindex();
  for (struct if_nameindex* one = all; one != nullptr && one->if_index != 0; one++)
    indexes.push_back(one->if_index);
  ::if_freenameindex(all);
  return indexes;
}

Result<void> attach_netfilter(int program, LockHooks& hooks) {
  for (std::uint32_t family : kFamilies)
    for (std::uint32_t hook : kHooks) {
      LinkCreate link;
      link.program = static_cast<std::uint32_t>(program);
      link.attach_type = kAttachNetfilter;
      link.netfilter = {family, hook, kFirstPriority, 0};
      int fd = create_link(link);
      for (int i = 1; fd == -EBUSY && i < kPriorities; i++) {
        link.netfilter.priority++;
        fd = create_link(link);
      }
      if (fd < 0) return fail(Error::system("attach the network lock to netfilter", -fd));
      hooks.links.emplace_back(fd);
    }
  return {};
}

Result<void> attach_tcx(int in_program, int out_program, LockHooks& hooks) {
  for (std::uint32_t interface : interfaces())
    for (bool inward : {true, false}) {
      LinkCreate link;
      link.program = static_cast<std::uint32_t>(inward ? in_program : out_program);
      link.interface = interface;
      link.attach_type = inward ? kAttachTcxIngress : kAttachTcxEgress;
      int fd = create_link(link);
      if (fd == -ENODEV) continue;  // it went meanwhile
      if (fd < 0)
        return fail(Error::system(fmt::format("attach the network lock to interface {}", interface), -fd));
      hooks.links.emplace_back(fd);
    }
  return {};
}

// Probably nobody else's.
std::uint32_t any_priority() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return 0x4000 + static_cast<std::uint32_t>(now.tv_nsec >> 10) % 0x4000;
}

// The qdisc stays when the classifiers go: others may have theirs there by then.
Result<void> attach_classifiers(int in_program, int out_program, LockHooks& hooks) {
  const std::uint32_t priority = any_priority();
  hooks.classifier_priority = priority;
  for (std::uint32_t interface : interfaces()) {
    LIBBPF_OPTS(bpf_tc_hook, hook);
    hook.ifindex = static_cast<int>(interface);
    hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    if (int err = ::bpf_tc_hook_create(&hook); err != 0 && err != -EEXIST) {
      if (err == -ENODEV) continue;
      return fail(Error::system(fmt::format("clsact on interface {}", interface), -err));
    }
    for (bool inward : {true, false}) {
      hook.attach_point = inward ? BPF_TC_INGRESS : BPF_TC_EGRESS;
      LIBBPF_OPTS(bpf_tc_opts, options);
      options.prog_fd = inward ? in_program : out_program;
      options.handle = 1;
      options.priority = priority;
      if (int err = ::bpf_tc_attach(&hook, &options); err != 0)
        return fail(Error::system(fmt::format("classifier on interface {}", interface), -err));
    }
  }
  return {};
}

}  // namespace

std::string_view to_string(LockMethod method) {
  switch (method) {
    case LockMethod::Netfilter:
      return "netfilter links";
    case LockMethod::Tcx:
      return "tcx links";
    case LockMethod::Clsact:
      return "clsact classifiers";
  }
  return "";
}

bool has_netfilter_links() {
  Fd program = trivial_program(kProgramNetfilter, kAttachNetfilter);
  if (!program) return false;
  LinkCreate link;
  link.program = static_cast<std::uint32_t>(program.get());
  link.attach_type = kAttachNetfilter;
  link.netfilter.family = UINT32_MAX;  // net/netfilter/nf_bpf_link.c:bpf_nf_check_pf_and_hooks()
  return create_link(link) == -EAFNOSUPPORT;
}

bool has_tcx_links() {
  Fd program = trivial_program(BPF_PROG_TYPE_SCHED_CLS, 0);
  if (!program) return false;
  LinkCreate link;
  link.program = static_cast<std::uint32_t>(program.get());
  link.attach_type = kAttachTcxIngress;
  link.interface = INT32_MAX;
  return create_link(link) == -ENODEV;
}

Result<LockHooks> attach_lock_programs(LockMethod method, Fd state, const std::vector<Fd>& programs) {
  LockHooks hooks;
  hooks.state = std::move(state);
  Result<void> attached;
  switch (method) {
    case LockMethod::Netfilter:
      attached = attach_netfilter(programs.at(0).get(), hooks);
      break;
    case LockMethod::Tcx:
      attached = attach_tcx(programs.at(0).get(), programs.at(1).get(), hooks);
      break;
    case LockMethod::Clsact:
      attached = attach_classifiers(programs.at(0).get(), programs.at(1).get(), hooks);
      break;
  }
  if (!attached) {
    detach_classifiers(hooks);
    return fail(std::move(attached.error()));
  }
  return hooks;
}

void detach_classifiers(LockHooks& hooks) {
  if (hooks.classifier_priority == 0) return;
  for (std::uint32_t interface : interfaces())
    for (bpf_tc_attach_point point : {BPF_TC_INGRESS, BPF_TC_EGRESS}) {
      LIBBPF_OPTS(bpf_tc_hook, hook);
      hook.ifindex = static_cast<int>(interface);
      hook.attach_point = point;
      LIBBPF_OPTS(bpf_tc_opts, options);
      options.handle = 1;
      options.priority = hooks.classifier_priority;
      ::bpf_tc_detach(&hook, &options);
    }
  hooks.classifier_priority = 0;
}

}  // namespace bpfckpt::kernel
