// SPDX-License-Identifier: Apache-2.0
// Who outside of a tree has what the tree shares with somebody.
//
// What shares a pipe, the description of a lock or a System V segment with the tree, or has the other end of
// a unix socket or of a TCP connection over loopback, is looked for in all processes of the machine that can
// be seen, once for everything, and only where something of that kind was found: a look at the whole machine
// is slow.
#pragma once

#include <sys/types.h>

#include <functional>
#include <span>

#include "collect/collector.h"
#include "diagnose/findings.h"
#include "diagnose/moment.h"

namespace bpfckpt::diagnose {

// Whether that process belongs to the tree that the item is of.
using IsInside = std::function<bool(const Item& item, std::uint32_t pid)>;

// Adds to the reason of each finding that reaches out of its tree who else has the same. Where that cannot be
// found out, reasons stay as they are.
// `moment`: where to look for them; null: at the machine as it is now, if there is anything to look for.
void name_holders(Collector& collector, const Moment* moment, const IsInside& is_inside,
                  std::span<Item* const> items);

}  // namespace bpfckpt::diagnose
