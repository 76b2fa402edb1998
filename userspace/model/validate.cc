// SPDX-License-Identifier: Apache-2.0
#include "model/validate.h"

namespace bpfckpt {

Result<void> validate(const Model& model) {
  using namespace validation;
  TRY(check_ids(model.tasks.fs_contexts(), "fs context"));
  TRY(check_ids(model.tasks.namespaces(), "namespaces"));
  TRY(check_ids(model.tasks.credentials(), "credentials"));
  TRY(check_ids(model.tasks.seccomp_filters(), "seccomp filter"));
  TRY(check_ids(model.memory.address_spaces(), "address space"));
  TRY(check_ids(model.files.files(), "file"));
  TRY(check_ids(model.files.objects(), "file object"));
  TRY(check_ids(model.files.tables(), "fd table"));
  ModelIndex index(model);
  TRY(check_tasks(model.tasks, index));
  TRY(check_memory(model.memory, index));
  TRY(check_files(model.files, index));
  return {};
}

}  // namespace bpfckpt
