// SPDX-License-Identifier: Apache-2.0
#include "collect/late_details.h"

#include <algorithm>

#include "kinds/kind.h"

namespace bpfckpt::collect {

Result<void> LateDetails::complete(Model& model) {
  const kinds::FileIds nothing_in_flight = [](std::uint64_t) { return 0U; };
  for (const Waiting& waiting : waiting_) {
    if (waiting.file_id == 0 || waiting.file_id > static_cast<std::uint32_t>(model.files.files_size()))
      return fail(Error::bug("a file of another model"));
    pb::File& file = *model.files.mutable_files(static_cast<int>(waiting.file_id - 1));
    const kinds::Kind* kind = kinds::find(file.kind());
    if (file.id() != waiting.file_id || kind == nullptr) return fail(Error::bug("a file of another model"));
    if (waiting.record != nullptr)
      TRY(kind->describe(*waiting.record, file, nullptr), "{}", file.path().path());
    if (!waiting.items.empty()) TRY(kind->add_items(waiting.items, nothing_in_flight, file));
  }
  for (const kinds::Kind* kind : kinds::all())
    if (kind->can_wait != nullptr &&
        std::ranges::any_of(model.files.files(), [&](const pb::File& f) { return f.kind() == kind->name; }))
      TRY(kind->settle(model), "{}", kind->name);
  return {};
}

}  // namespace bpfckpt::collect
