// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a connection that leads out of the tree.
#pragma once

#include "collect/programs.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// Appends, for each unix socket in `records` whose other end none of them has, which process has that
// (struct unix_holder_record). It looks at every descriptor of the machine, so it is
// for when nobody waits; and does nothing where all ends are known.
Result<void> find_peers(const Programs& programs, Records& records);

}  // namespace bpfckpt::collect
