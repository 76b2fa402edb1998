// SPDX-License-Identifier: Apache-2.0
// The machine at one moment: who is below whom, and what everybody has.
#pragma once

#include "collect/snapshot.h"
#include "diagnose/forest.h"

namespace bpfckpt::diagnose {

struct Moment {
  Forest forest;
  collect::Snapshot snapshot;

  static Result<Moment> take(Collector& collector);
};

}  // namespace bpfckpt::diagnose
