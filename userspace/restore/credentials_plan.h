// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan/builder.h"

namespace bpfckpt::restore {

// Gives the thread its credentials; it may do little afterwards. Null: it keeps bpfckpt's. A process that is
// to end at once (`ends`) keeps the capabilities that it has if it cannot get its own: it may have ended in a
// user namespace, where it had some that bpfckpt has not, and has no use for them any more.
void plan_credentials(PlanBuilder& plan, Actor tid, const pb::Credentials* credentials, bool ends = false);

}  // namespace bpfckpt::restore
