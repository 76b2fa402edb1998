// SPDX-License-Identifier: Apache-2.0
// Descriptors of one kind, as the model has them and as fdinfo shows them.
#pragma once

#include "oracle/target.h"

namespace oracle {

using Fields = std::map<std::string, std::string>;

// What the model says about each descriptor from 100 to 199.
template <class Detail, class Compare>
void for_each(const Target& target, const char* kind, Compare compare) {
  const auto model = model_of(target.pid());
  bpfckpt::ModelIndex index(model);
  int seen = 0;
  for (const auto& entry : model.files.tables(0).entries()) {
    if (entry.fd() < 100 || entry.fd() > 199) continue;
    CAPTURE(entry.fd());
    const auto& file = *index.file(entry.file_id());
    CHECK(file.kind() == kind);
    CHECK(file.object_id() == 0);
    Detail detail;
    REQUIRE(file.detail().UnpackTo(&detail));
    auto fields = target.fields("fdinfo/" + std::to_string(entry.fd()));
    CHECK(file.flags() == (std::stoul(fields["flags"], nullptr, 8) & ~std::uint32_t{O_CLOEXEC}));
    compare(detail, fields);
    ++seen;
  }
  CHECK(seen > 2);
}

}  // namespace oracle
