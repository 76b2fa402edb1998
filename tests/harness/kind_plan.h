// SPDX-License-Identifier: Apache-2.0
// Plans one description, as a restore of an image with it would: without a machine behind it.
#pragma once

#include <string>

#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kind_plan {

// A machine on which no name is taken.
class EmptyMachine : public Environment {
 public:
  bool path_exists(const std::string&) const override { return false; }
  std::vector<SpecialMapping> special_mappings() const override { return {}; }
  int descriptor_limit() const override { return 1024; }
  int caller_terminal() const override { return -1; }
  bool timer_ids_restorable() const override { return true; }
  int oom_score_adj() const override { return 0; }
  std::uint32_t coredump_filter() const override { return 0x33; }
  int last_capability() const override { return 40; }
  bool queue_exists(const std::string&) const override { return false; }
  std::int64_t clock_ns(clockid_t) const override { return 5'000'000'000; }
  std::uint32_t possible_cpus() const override { return 2; }
};

// The plan as text, or the error's message.
inline std::string text_of(const pb::File& file, const Model& model = {}) {
  ModelIndex index(model);
  EmptyMachine machine;
  PlanBuilder builder(model, index, machine);
  builder.phase("files");
  const kinds::Kind* kind = kinds::find(file.kind());
  if (kind == nullptr) return "no such kind";
  auto planned = kind->plan(builder, file, index.object(file.object_id()));
  if (!planned)
    return (planned.error().code() == Error::Code::BadImage ? "bad image: " : "") + planned.error().message();
  if (builder.file(file.id()) == nullptr) return "no descriptor";
  return to_text(builder.finish());
}

// A file of that kind with that detail.
template <class Detail>
pb::File file_with(const char* kind, const Detail& detail, std::uint32_t flags = 2 /*O_RDWR*/) {
  pb::File file;
  file.set_id(1);
  file.set_kind(kind);
  file.set_flags(flags);
  file.mutable_detail()->PackFrom(detail);
  return file;
}

}  // namespace bpfckpt::kind_plan
