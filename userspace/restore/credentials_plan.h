// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan/builder.h"

namespace bpfckpt::restore {

// Gives the thread its credentials; it may do little afterwards. Null: it keeps bpfckpt's.
void plan_credentials(PlanBuilder& plan, Actor tid, const pb::Credentials* credentials);

}  // namespace bpfckpt::restore
