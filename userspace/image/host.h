// SPDX-License-Identifier: Apache-2.0
// What identifies the machine that a checkpoint is made on.
#pragma once

#include <string>

namespace bpfckpt::image {

// Identifies one boot of one machine; empty where it cannot be read.
std::string boot_id();

}  // namespace bpfckpt::image
