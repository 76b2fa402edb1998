// SPDX-License-Identifier: Apache-2.0
// Who may trace a process besides its ancestors, where Yama lets nobody else (PR_SET_PTRACER). Outside of the
// tree a number may be somebody else's by the time of a restore.
#pragma once

#include <algorithm>

#include "model/model.h"

namespace bpfckpt {

inline bool is_tracer_outside(const Model& model, const ModelIndex& index, const pb::Process& process) {
  if (process.ptracer() <= 0) return false;  // nobody, anybody
  const auto tracer = static_cast<std::uint32_t>(process.ptracer());
  if (index.process(tracer) != nullptr) return false;
  return std::ranges::none_of(model.tasks.processes(), [&](const pb::Process& other) {
    return std::ranges::any_of(other.threads(), [&](const pb::Thread& t) { return t.tid() == tracer; });
  });
}

}  // namespace bpfckpt
