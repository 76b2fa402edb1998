// SPDX-License-Identifier: Apache-2.0
// Skipping a doctest case: the program exits 77 when a case was skipped and none failed.
#pragma once

#include <string>

namespace harness {

// Records that something is missing; `feature` is named as `bpfckpt check` names it.
void note_skip(const std::string& feature);

}  // namespace harness

// Leaves the test case when `condition` does not hold.
#define REQUIRE_FEATURE(condition, feature) \
  do {                                      \
    if (!(condition)) {                     \
      ::harness::note_skip(feature);        \
      return;                               \
    }                                       \
  } while (0)
