// SPDX-License-Identifier: Apache-2.0
// The labels of security modules (kernel/security_label.h), of whole trees, again and again.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "collect/records.h"
#include "kernel/security_label.h"

namespace bpfckpt::collect {

class Labels {
 public:
  Labels() : module_(kernel::label_module()), own_(kernel::own_label().value_or("")) {}

  kernel::LabelModule module() const { return module_; }
  const std::string& own() const { return own_; }

  // Adds to the records the labels of the credentials in them. Each costs the opening of a file, but for
  // those that are bpfckpt's own (`own_security`: cred_record.security of it), as nearly all are, and for
  // what an earlier reading has shown: a dump looks at the running tree first, so that there is little of it
  // left to do in the frozen one.
  Result<void> read(Records& records, const TaskMarks::Security& own_security);

 private:
  struct Known {
    TaskMarks::Security words;  // another label has another word among them
    Records::Label label;
  };
  Result<Records::Label> read_one(const cred_record& record) const;

  kernel::LabelModule module_;
  std::string own_;
  std::unordered_map<std::uint64_t, Known> known_;  // by struct cred
};

}  // namespace bpfckpt::collect
