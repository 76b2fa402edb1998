// SPDX-License-Identifier: Apache-2.0
#include "cmd/shape.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string_view>

#include "restore/environment.h"
#include "restore/planner.h"

namespace bpfckpt {
namespace {

using diagnose::Item;

int most_mappings() {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/sys/vm/max_map_count", "re"),
                                                       std::fclose);
  int value = 0;
  return file != nullptr && std::fscanf(file.get(), "%d", &value) == 1 ? value : INT32_MAX;
}

// An error's words "pid 4711: ..." are about that process, others about the root.
Item item_of(const Error& error, std::uint32_t root, std::string code) {
  Item item = diagnose::about_process(root, std::move(code), "");
  std::string text = error.message();
  constexpr std::string_view kPid = "pid ";
  if (text.starts_with(kPid)) {
    auto [end, err] = std::from_chars(text.data() + kPid.size(), text.data() + text.size(), item.pid);
    if (err == std::errc() && std::string_view(end).starts_with(": ")) text = end + 2;
  }
  item.finding.reason = std::move(text);
  return item;
}

bool has(const std::vector<Item>& items, const Item& item) {
  return std::ranges::any_of(
      items, [&](const Item& it) { return it.pid == item.pid && it.finding.reason == item.finding.reason; });
}

// Of a tree that went on while it was read, one reading may name what the next one did not find any more: a
// process that execs has another address space by then. Nothing can be said of such a model.
bool is_whole(const Model& model) {
  const ModelIndex index(model);
  for (const pb::Process& process : model.tasks.processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    if (process.threads_size() == 0 || index.fd_table(process.fd_table_id()) == nullptr ||
        index.fs_context(process.fs_id()) == nullptr ||
        (process.mm_id() != 0 && index.address_space(process.mm_id()) == nullptr))
      return false;
  }
  return true;
}

}  // namespace

std::vector<Item> find_shape(const Model& model, const std::vector<SpecialMapping>& special) {
  if (!is_whole(model)) return {};
  const std::uint32_t root = model.tasks.processes(0).pid();
  restore::RestorePolicy policy;
  policy.shell_job = true;
  std::vector<Item> items;
  auto add = [&](const Result<void>& checked, const char* code) {
    if (!checked) items.push_back(item_of(checked.error(), root, code));
  };
  static const int most = most_mappings();
  add(restore::check_room(model, most), kTooManyMappings);
  add(restore::check_shape(model, policy, restore::HostEnvironment(special)), "shape");
  return items;
}

std::vector<Item> find_lasting_shape(const Model& model, const std::vector<SpecialMapping>& special,
                                     const std::function<Result<Model>()>& again) {
  std::vector<Item> items = find_shape(model, special);
  if (items.empty()) return items;
  const Result<Model> second = again();
  const std::vector<Item> found = second ? find_shape(*second, special) : std::vector<Item>{};
  std::erase_if(items, [&](const Item& item) { return !has(found, item); });
  return items;
}

}  // namespace bpfckpt
