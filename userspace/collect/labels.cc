// SPDX-License-Identifier: Apache-2.0
#include "collect/labels.h"

#include <cerrno>

namespace bpfckpt::collect {
namespace {

// What a task asked its module for besides its label; AppArmor's are looked at by one of those with the same
// credentials, when the label is read. `prev` is SELinux's word for where a task came from,
// which is no more than that, and AppArmor's for the profile to which a hat can be taken off again.
constexpr const char* kOfApparmor[] = {"exec", "prev"};
constexpr const char* kOfOthers[] = {"exec", "fscreate", "keycreate", "sockcreate"};

}  // namespace

Result<Records::Label> Labels::read_one(const cred_record& record) const {
  Records::Label label;
  const auto text = kernel::label_of(record.tid);
  if (!text) return fail(Error::system(fmt::format("security label of thread {}", record.tid), ESRCH));
  label.text = *text;
  const auto look_for = [&](const auto& attributes) {
    for (const char* attribute : attributes)
      if (const auto more = kernel::label_of(record.tid, attribute))
        label.more += fmt::format("{}{} {}", label.more.empty() ? "" : ", ", attribute, *more);
  };
  if (module_ != kernel::LabelModule::AppArmor)
    look_for(kOfOthers);
  else if (label.text != own_)
    look_for(kOfApparmor);
  return label;
}

Result<void> Labels::read(Records& records, const TaskMarks::Security& own_security) {
  if (module_ == kernel::LabelModule::None) return {};
  return records.for_each([&](const record_head& head) -> Result<void> {
    const auto cred = head.type == RECORD_CRED ? as<cred_record>(head) : nullptr;
    if (cred == nullptr) return {};
    if (std::ranges::equal(own_security, cred->security)) {
      records.add_label(cred->cred, {own_, ""});
      return {};
    }
    auto known = known_.find(cred->cred);
    if (known == known_.end() || !std::ranges::equal(known->second.words, cred->security)) {
      Result<Records::Label> label = read_one(*cred);
      if (!label && records.of_running()) return {};  // gone since
      if (!label) return fail(std::move(label.error()));
      Known fresh{.words = {}, .label = std::move(*label)};
      std::ranges::copy(cred->security, fresh.words.begin());
      known = known_.insert_or_assign(cred->cred, std::move(fresh)).first;
    }
    records.add_label(cred->cred, known->second.label);
    return {};
  });
}

}  // namespace bpfckpt::collect
