// SPDX-License-Identifier: Apache-2.0
// Names of sockets that the tree will need again.
#pragma once

#include <cstdint>
#include <vector>

#include "model/model.h"

namespace bpfckpt::restore {

// Error::Conflict lists every path of a unix socket at which there is something else by now, or a socket that
// somebody has. A socket there that nobody has is what the tree left behind, and is replaced. Files whose id
// is in `except` are given by the caller.
Result<void> check_socket_names(const Model& model, const std::vector<std::uint32_t>& except);

}  // namespace bpfckpt::restore
