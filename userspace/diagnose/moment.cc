// SPDX-License-Identifier: Apache-2.0
#include "diagnose/moment.h"

#include <utility>

namespace bpfckpt::diagnose {

Result<Moment> Moment::take(Collector& collector) {
  TRY_ASSIGN(Forest forest, Forest::take(collector));
  TRY_ASSIGN(collect::Snapshot snapshot, collector.snapshot());
  return Moment{std::move(forest), std::move(snapshot)};
}

}  // namespace bpfckpt::diagnose
