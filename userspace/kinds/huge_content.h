// SPDX-License-Identifier: Apache-2.0
// The bytes of files on huge pages (hugetlb). They can be read but not written; they are filled through a
// mapping. Their holes cannot be asked for, so pages of zeroes are taken for holes.
#pragma once

#include <sys/stat.h>

#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

// As copy_content() (kinds/objects.h).
Result<void> copy_huge_content(EnrichContext& context, int fd, const struct stat& facts,
                               pb::Content& content);

// As PlanBuilder::fill().
void fill_huge(PlanBuilder& plan, Operand fd, const pb::Content& content);

}  // namespace bpfckpt::kinds
