// SPDX-License-Identifier: Apache-2.0
// Numbers of include/uapi/linux/bpf.h that are newer than libbpf 1.1.
#pragma once

namespace bpfckpt::kernel {

constexpr int kProgramNetfilter = 32;  // BPF_PROG_TYPE_NETFILTER
constexpr int kAttachNetfilter = 45;   // BPF_NETFILTER
constexpr int kAttachTcxIngress = 46;  // BPF_TCX_INGRESS
constexpr int kAttachTcxEgress = 47;   // BPF_TCX_EGRESS

}  // namespace bpfckpt::kernel
