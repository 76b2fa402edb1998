// SPDX-License-Identifier: Apache-2.0
#include "cmd/show_json.h"

#include <google/protobuf/util/json_util.h>

#include <set>
#include <utility>

namespace bpfckpt {
namespace {

Result<std::string> as_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (auto status = google::protobuf::util::MessageToJsonString(message, &json, options); !status.ok())
    return fail(Error::bad_image(fmt::format("JSON: {}", status.ToString())));
  while (json.ends_with('\n')) json.pop_back();
  return json;
}

// Copies the messages whose id is in `ids`.
template <class Messages>
void copy_those(const Messages& from, const std::set<std::uint32_t>& ids, Messages& to) {
  for (const auto& it : from)
    if (ids.contains(it.id())) *to.Add() = it;
}

// One process, and what it refers to.
Model only(const Model& model, const ModelIndex& index, const pb::Process& process) {
  Model out;
  *out.tasks.add_processes() = process;
  std::set<std::uint32_t> credentials, files, objects, spaces{process.mm_id()};
  for (const auto& thread : process.threads()) credentials.insert(thread.credentials_id());
  if (const auto* mm = index.address_space(process.mm_id())) {
    files.insert(mm->exe_file_id());
    for (const auto& vma : mm->vmas()) files.insert(vma.file_id());
  }
  if (const auto* table = index.fd_table(process.fd_table_id()))
    for (const auto& entry : table->entries()) files.insert(entry.file_id());
  for (auto id : files)
    if (const auto* file = index.file(id)) objects.insert(file->object_id());
  copy_those(model.tasks.fs_contexts(), {process.fs_id()}, *out.tasks.mutable_fs_contexts());
  copy_those(model.tasks.namespaces(), {process.namespaces_id()}, *out.tasks.mutable_namespaces());
  copy_those(model.tasks.credentials(), credentials, *out.tasks.mutable_credentials());
  copy_those(model.memory.address_spaces(), spaces, *out.memory.mutable_address_spaces());
  copy_those(model.files.tables(), {process.fd_table_id()}, *out.files.mutable_tables());
  copy_those(model.files.files(), files, *out.files.mutable_files());
  copy_those(model.files.objects(), objects, *out.files.mutable_objects());
  return out;
}

}  // namespace

Result<std::string> checkpoint_as_json(const image::ImageReader& reader, std::uint32_t pid) {
  Model one;
  const Model* model = &reader.model();
  if (pid != 0) {
    const auto* process = reader.index().process(pid);
    if (process == nullptr) return fail(Error::usage(fmt::format("no process {} in the checkpoint", pid)));
    one = only(*model, reader.index(), *process);
    model = &one;
  }
  std::string json = "{";
  std::string_view separator = "\n";
  for (const auto& [name, message] :
       std::initializer_list<std::pair<std::string_view, const google::protobuf::Message*>>{
           {"manifest", &reader.manifest()},
           {"tasks", &model->tasks},
           {"memory", &model->memory},
           {"files", &model->files}}) {
    TRY_ASSIGN(std::string part, as_json(*message), "{}", name);
    json += fmt::format("{}\"{}\": {}", std::exchange(separator, ",\n"), name, part);
  }
  return json + "\n}\n";
}

}  // namespace bpfckpt
