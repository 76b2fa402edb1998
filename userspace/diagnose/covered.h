// SPDX-License-Identifier: Apache-2.0
// Files whose path leads to something else by now.
#pragma once

#include <vector>

#include "diagnose/findings.h"

namespace bpfckpt::diagnose {

// A file that is deleted or renamed is known as such by the kernel's own tree of names. Not so one that lies
// in a directory over which something was mounted since, in a mount that was taken away, or in another mount
// namespace than ours: it has its name, which leads us elsewhere. Restore would open another file.
//
// Looks every path up once, so this is for when nobody waits: not for the frozen window.
std::vector<Item> find_covered(const Model& model);

}  // namespace bpfckpt::diagnose
