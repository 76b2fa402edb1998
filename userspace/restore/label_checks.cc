// SPDX-License-Identifier: Apache-2.0
#include "restore/label_checks.h"

#include <map>

#include "kernel/security_label.h"
#include "model/details.h"

namespace bpfckpt::restore {
namespace {

Result<void> check_label(const std::string& label, kernel::LabelModule module, const std::string& own) {
  switch (module) {
    case kernel::LabelModule::AppArmor:
      return kernel::try_apparmor_label(label);
    case kernel::LabelModule::Other:
      return fail(Error::conflict(fmt::format("bpfckpt, and so what it restores, has '{}'", own)));
    case kernel::LabelModule::None:
      // What AppArmor says of a task without a profile: there is nothing to lose.
      if (label == "unconfined") return {};
      return fail(Error::conflict("no security module of this kernel labels tasks"));
  }
  return {};
}

}  // namespace

Result<void> check_labels(const Model& model, const ModelIndex& index) {
  std::map<std::string, std::uint32_t> labels;  // and a process that has it
  for (const pb::Process& process : model.tasks.processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    for (const pb::Thread& thread : process.threads()) {
      const pb::Credentials* credentials = index.credentials(thread.credentials_id());
      if (credentials != nullptr && !credentials->security_label().empty() && !thread.exited())
        labels.emplace(from_printable(credentials->security_label()), process.pid());
    }
  }
  if (labels.empty()) return {};
  const kernel::LabelModule module = kernel::label_module();
  const std::string own = kernel::own_label().value_or("");
  std::string wrong;
  for (const auto& [label, pid] : labels) {
    if (label == own) continue;
    if (auto checked = check_label(label, module, own); !checked)
      wrong += fmt::format("{}pid {}: it had the security label '{}': {}", wrong.empty() ? "" : "\n", pid,
                           printable(label), printable(checked.error().message()));
  }
  if (wrong.empty()) return {};
  return fail(Error::conflict(wrong));
}

}  // namespace bpfckpt::restore
