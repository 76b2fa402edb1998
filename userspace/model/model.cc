// SPDX-License-Identifier: Apache-2.0
#include "model/model.h"

namespace bpfckpt {

ModelIndex::ModelIndex(const Model& model) {
  for (const auto& it : model.tasks.processes()) processes_.emplace(it.pid(), &it);
  for (const auto& it : model.tasks.fs_contexts()) fs_contexts_.emplace(it.id(), &it);
  for (const auto& it : model.tasks.credentials()) credentials_.emplace(it.id(), &it);
  for (const auto& it : model.tasks.namespaces()) namespaces_.emplace(it.id(), &it);
  for (const auto& it : model.tasks.seccomp_filters()) seccomp_filters_.emplace(it.id(), &it);
  for (const auto& it : model.memory.address_spaces()) address_spaces_.emplace(it.id(), &it);
  for (const auto& it : model.files.files()) files_.emplace(it.id(), &it);
  for (const auto& it : model.files.objects()) objects_.emplace(it.id(), &it);
  for (const auto& it : model.files.tables()) fd_tables_.emplace(it.id(), &it);
}

}  // namespace bpfckpt
