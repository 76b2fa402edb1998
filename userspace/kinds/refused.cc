// SPDX-License-Identifier: Apache-2.0
// Handles on state that stays in the kernel: named, so that they are refused for a reason.
//
// What they have in common: the state behind them is the kernel's own, no interface reads it back as a whole
// or no interface sets it again. A performance counter counts from 0 when it is opened, and what its ring has
// taken belongs to the moment; a Landlock ruleset takes rules and never shows them
// (security/landlock/syscalls.c has no read side); a seccomp listener belongs to a filter and to the tasks
// that wait for its answers; BPF programs exist after verification and relocation only, and links hang them
// into the kernel.
#include "kinds/kind.h"

#include "bpf/records.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {
namespace {

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  file.set_operations(std::string(record.name, ::strnlen(record.name, sizeof record.name)));
  return {};
}

Result<void> plan(PlanBuilder&, const pb::File& file, const pb::FileObject*) {
  return fail(Error::bad_image(fmt::format("a file of kind {}, which no dump takes", file.kind())));
}

Finding diagnose_perf_event(const pb::File&, const pb::FileObject*, const DumpPolicy&) {
  return {Verdict::Unsupported, "perf-event",
          "a performance counter (perf_event_open): the kernel lets nobody set what it has counted", ""};
}

Finding diagnose_landlock(const pb::File&, const pb::FileObject*, const DumpPolicy&) {
  return {Verdict::Unsupported, "landlock-ruleset",
          "a Landlock ruleset: the rules that were added to it cannot be read back", ""};
}

Finding diagnose_seccomp_notify(const pb::File&, const pb::FileObject*, const DumpPolicy&) {
  return {
      Verdict::Unsupported, "seccomp-notify",
      "a seccomp listener (SECCOMP_FILTER_FLAG_NEW_LISTENER): it cannot be tied to restored filters and the "
      "calls that wait for its answers",
      ""};
}

Finding diagnose_bpf_other(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  return {
      Verdict::Unsupported, "bpf-object",
      fmt::format("a BPF object ({}): only maps can be taken, programs and what they are attached to cannot",
                  file.operations()),
      ""};
}

}  // namespace

extern const Kind kPerfEvent = {.name = "perf_event",
                                .kept = "nothing: a performance event",
                                .not_kept = "everything",
                                .refused = "always; the kernel does not let it be read, or not be made again",
                                .describe = describe,
                                .plan = plan,
                                .diagnose = diagnose_perf_event};
extern const Kind kLandlock = {.name = "landlock",
                               .kept = "nothing: a Landlock ruleset",
                               .not_kept = "everything",
                               .refused = "always; the kernel does not let it be read, or not be made again",
                               .describe = describe,
                               .plan = plan,
                               .diagnose = diagnose_landlock};
extern const Kind kSeccompNotify = {
    .name = "seccomp_notify",
    .kept = "nothing: a seccomp listener",
    .not_kept = "everything",
    .refused = "always; the kernel does not let it be read, or not be made again",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose_seccomp_notify};
extern const Kind kBpfOther = {.name = "bpf_other",
                               .kept = "nothing: BPF programs, links and type information",
                               .not_kept = "everything",
                               .refused = "always; the kernel does not let it be read, or not be made again",
                               .describe = describe,
                               .plan = plan,
                               .diagnose = diagnose_bpf_other};

}  // namespace bpfckpt::kinds
