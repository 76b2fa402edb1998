// SPDX-License-Identifier: Apache-2.0
// Netlink sockets, for those who look whether a machine has room for them.
#pragma once

#include "images/kinds/netlink.pb.h"
#include "kinds/kind.h"

namespace bpfckpt::kinds {

bool is_netlink(const pb::File& file);
Result<pb::NetlinkSocket> netlink_of(const pb::File& file);

}  // namespace bpfckpt::kinds
