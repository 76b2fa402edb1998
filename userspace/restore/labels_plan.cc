// SPDX-License-Identifier: Apache-2.0
// AppArmor's profiles.
//
// A thread can only ask for its own, through a file of proc that it opened itself, and is bound by it from
// then on. So each opens that file while proc is still there, before a chroot(2), and asks when all else is
// done. bpfckpt has tried beforehand that it will get what it asks for (restore/label_checks.h). Descriptors
// which were opened by somebody unconfined are not looked at again (security/apparmor/file.c:aa_file_perm()).
#include <fcntl.h>
#include <sys/syscall.h>

#include "kernel/security_label.h"
#include "model/details.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr std::size_t kMoreLabelBytes = 64;  // so that a longer one is seen as such

// What the thread has to ask for; empty: nothing.
std::string label_to_ask(const PlanBuilder& plan, const pb::Thread& thread) {
  if (thread.exited()) return {};
  const pb::Credentials* credentials = plan.index().credentials(thread.credentials_id());
  if (credentials == nullptr || credentials->security_label().empty()) return {};
  const std::string own = plan.environment().security_label();
  std::string label = from_printable(credentials->security_label());
  return own.empty() || label == own ? std::string() : label;
}

template <class Visit>
void for_each_labelled(Planning& planning, const Visit& visit) {
  for (const pb::Process& process : planning.model().tasks.processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    for (const pb::Thread& thread : process.threads())
      if (std::string label = label_to_ask(planning.plan, thread); !label.empty()) visit(thread.tid(), label);
  }
}

}  // namespace

void plan_label_files(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  plan.phase("security labels");
  for_each_labelled(planning, [&](Actor tid, const std::string&) {
    planning.label_files.emplace(
        tid,
        plan.call(tid, SYS_open, {Operand::data(plan.text(kernel::kApparmorAttribute)), O_RDWR | O_CLOEXEC},
                  "for its AppArmor profile"));
  });
}

void plan_labels(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  plan.phase("confinement");
  for_each_labelled(planning, [&](Actor tid, const std::string& label) {
    const std::string words = kernel::apparmor_change(label);
    const Operand file = Operand::result(planning.label_files.at(tid));
    plan.call_expecting(tid, words.size(), SYS_write, {file, Operand::data(plan.text(words)), words.size()},
                        "AppArmor profile");
    // What it got, with an end of line: where it is not allowed to change, AppArmor may give it both
    // profiles.
    const std::size_t len = label.size() + 1;
    const Operand got = Operand::data(plan.zeroes(len + kMoreLabelBytes));
    plan.call_expecting(tid, len, SYS_pread64, {file, got, len + kMoreLabelBytes, 0}, "has the profile");
    plan.call(tid, SYS_close, {file});
  });
}

}  // namespace bpfckpt::restore
