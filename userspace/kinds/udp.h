// SPDX-License-Identifier: Apache-2.0
// UDP sockets, for those who look whether a machine has room for them.
#pragma once

#include "images/kinds/udp.pb.h"
#include "kinds/kind.h"

namespace bpfckpt::kinds {

bool is_udp(const pb::File& file);
Result<pb::Udp> udp_of(const pb::File& file);

}  // namespace bpfckpt::kinds
