// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace bpfckpt::kernel {

// Where the kernel has the list in which Yama keeps who may trace whom: no type leads there, but all symbols
// of data are told by kernels with CONFIG_KALLSYMS_ALL. 0: no Yama, or no such kernel, or it is not for us to
// know.
std::uint64_t ptracer_relations();

}  // namespace bpfckpt::kernel
