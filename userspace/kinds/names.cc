// SPDX-License-Identifier: Apache-2.0
#include "kinds/names.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

namespace bpfckpt::kinds {
namespace {

bool is_device(const pb::File& file) {
  return S_ISCHR(file.inode().mode()) || S_ISBLK(file.inode().mode());
}

}  // namespace

std::string describe_name(const pb::File& file) {
  if (!file.path().path().empty()) return file.path().path() + (file.path().deleted() ? " (deleted)" : "");
  return fmt::format("{}:[{}]", file.kind(), file.inode().number());
}

std::string device_name(const pb::File& file) {
  return fmt::format("dev[{}/{}]", major(file.inode().rdev()), minor(file.inode().rdev()));
}

std::vector<std::string> external_names(const pb::File& file, std::span<const std::string> externals) {
  std::vector<std::string> names;
  const pb::Inode& inode = file.inode();
  const std::string& path = file.path().path();
  if (S_ISFIFO(inode.mode())) names.push_back(fmt::format("pipe:[{}]", inode.number()));
  if (S_ISSOCK(inode.mode())) names.push_back(fmt::format("socket:[{}]", inode.number()));
  if (S_ISCHR(inode.mode())) names.push_back(fmt::format("tty[{:x}:{:x}]", inode.rdev(), inode.device()));
  names.push_back(fmt::format("file[{:x}:{:x}]", file.path().mount_id(), inode.number()));
  if (is_device(file)) {
    names.push_back(device_name(file));
    for (const std::string& external : externals)
      if (external.starts_with(names.back() + ":")) {
        std::string given = external.substr(names.back().size() + 1);
        names.push_back(std::move(given));
        break;
      }
  }
  if (!path.empty()) {
    names.push_back(path);
    if (path.front() == '/') names.push_back(path.substr(1));
  }
  return names;
}

bool is_external(const pb::File& file, std::span<const std::string> externals) {
  if (externals.empty()) return false;
  for (const std::string& name : external_names(file, {}))
    if (std::ranges::find(externals, name) != externals.end()) return true;
  return is_external_device(file, externals);
}

bool is_external_device(const pb::File& file, std::span<const std::string> externals) {
  if (!is_device(file)) return false;
  std::string name = device_name(file);
  return std::ranges::any_of(externals, [&](const std::string& external) {
    return external == name || external.starts_with(name + ":");
  });
}

}  // namespace bpfckpt::kinds
