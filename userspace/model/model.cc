// SPDX-License-Identifier: Apache-2.0
#include "model/model.h"

namespace bpfckpt {

ModelIndex::ModelIndex(const Model& model) {
  address_spaces_.expect_ids_to(model.memory.address_spaces_size());
  files_.expect_ids_to(model.files.files_size());
  objects_.expect_ids_to(model.files.objects_size());
  for (const auto& it : model.tasks.processes()) processes_.add(it.pid(), &it);
  for (const auto& it : model.tasks.fs_contexts()) fs_contexts_.add(it.id(), &it);
  for (const auto& it : model.tasks.credentials()) credentials_.add(it.id(), &it);
  for (const auto& it : model.tasks.namespaces()) namespaces_.add(it.id(), &it);
  for (const auto& it : model.tasks.seccomp_filters()) seccomp_filters_.add(it.id(), &it);
  for (const auto& it : model.memory.address_spaces()) address_spaces_.add(it.id(), &it);
  for (const auto& it : model.files.files()) files_.add(it.id(), &it);
  for (const auto& it : model.files.objects()) objects_.add(it.id(), &it);
  for (const auto& it : model.files.tables()) fd_tables_.add(it.id(), &it);
}

}  // namespace bpfckpt
