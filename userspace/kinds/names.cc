// SPDX-License-Identifier: Apache-2.0
#include "kinds/names.h"

#include <sys/stat.h>

#include <algorithm>

namespace bpfckpt::kinds {

std::string describe_name(const pb::File& file) {
  if (!file.path().path().empty()) return file.path().path() + (file.path().deleted() ? " (deleted)" : "");
  return fmt::format("{}:[{}]", file.kind(), file.inode().number());
}

std::vector<std::string> external_names(const pb::File& file) {
  std::vector<std::string> names;
  const pb::Inode& inode = file.inode();
  const std::string& path = file.path().path();
  if (S_ISFIFO(inode.mode())) names.push_back(fmt::format("pipe:[{}]", inode.number()));
  if (S_ISSOCK(inode.mode())) names.push_back(fmt::format("socket:[{}]", inode.number()));
  if (S_ISCHR(inode.mode())) names.push_back(fmt::format("tty[{:x}:{:x}]", inode.rdev(), inode.device()));
  names.push_back(fmt::format("file[{:x}:{:x}]", file.path().mount_id(), inode.number()));
  if (!path.empty()) {
    names.push_back(path);
    if (path.front() == '/') names.push_back(path.substr(1));
  }
  return names;
}

bool is_external(const pb::File& file, std::span<const std::string> externals) {
  if (externals.empty()) return false;
  for (const std::string& name : external_names(file))
    if (std::ranges::find(externals, name) != externals.end()) return true;
  return false;
}

}  // namespace bpfckpt::kinds
