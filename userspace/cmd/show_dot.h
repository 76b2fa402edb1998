// SPDX-License-Identifier: Apache-2.0
// bpfckpt show --dot: the process tree and what its processes share, for graphviz.
#pragma once

#include <ostream>

#include "cmd/picture.h"

namespace bpfckpt {

// One digraph: processes are boxes, what several of them have is an ellipse with a dashed edge to each.
void print_dot(const Picture& picture, std::ostream& out);

}  // namespace bpfckpt
