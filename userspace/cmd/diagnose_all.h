// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cmd/diagnose.h"
#include "cmd/options.h"
#include "collect/collector.h"

namespace bpfckpt {

// Every process of the machine but bpfckpt itself, each as the root of a tree with all that is below it, as
// `dump -t` would take it. One that cannot be looked at says so.
Result<std::vector<Diagnosed>> diagnose_all(Collector& collector, const DiagnoseOptions& options,
                                            const std::vector<SpecialMapping>& special,
                                            diagnose::Names& names);

}  // namespace bpfckpt
