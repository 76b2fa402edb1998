// SPDX-License-Identifier: Apache-2.0
// Raw sockets and those for ICMP echoes, for those who look whether a machine has room for them.
#pragma once

#include "images/kinds/raw.pb.h"
#include "kinds/kind.h"

namespace bpfckpt::kinds {

bool is_raw(const pb::File& file);
Result<pb::Raw> raw_of(const pb::File& file);

}  // namespace bpfckpt::kinds
