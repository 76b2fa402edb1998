// SPDX-License-Identifier: Apache-2.0
#include "kinds/mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string_view>

namespace bpfckpt::kinds {
namespace {

// Blanks, tabs, newlines and backslashes are written in octal (fs/proc_namespace.c:mangle()).
std::string unescape(const std::string& text) {
  std::string out;
  auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

Result<Mounts> Mounts::read() {
  std::unique_ptr<FILE, int (*)(FILE*)> file(::fopen("/proc/self/mountinfo", "re"), ::fclose);
  if (file == nullptr) return fail(Error::system("/proc/self/mountinfo"));
  Mounts mounts;
  char* line = nullptr;
  std::size_t size = 0;
  while (::getline(&line, &size, file.get()) > 0) {
    std::istringstream words(line);
    Mount mount{};
    std::uint32_t parent = 0, major = 0, minor = 0;
    char colon = 0;
    words >> mount.id >> parent >> major >> colon >> minor >> mount.root >> mount.point;
    if (!words) continue;
    mount.device = static_cast<std::uint32_t>(makedev(major, minor));
    mount.root = unescape(mount.root);
    mount.point = unescape(mount.point);
    mounts.mounts_.push_back(std::move(mount));
  }
  std::free(line);
  return mounts;
}

// Another mount, or another file by now, may be at that path. Where stat(2) shows another device than the
// file system's (btrfs, overlayfs) it may show another inode number, too: then that the path ends in that
// mount has to do.
bool Mounts::leads_to(const Mount& mount, const std::string& path, const pb::MarkTarget& target,
                      bool& denied) {
  struct statx st;
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
              STATX_TYPE | STATX_INO | STATX_MNT_ID, &st) != 0) {
    denied |= errno == EACCES;
    return false;
  }
  if ((st.stx_mask & STATX_MNT_ID) != 0 && st.stx_mnt_id != mount.id) return false;
  if (target.type() != pb::MARK_INODE) return true;
  if ((st.stx_mode & S_IFMT) != (target.mode() & S_IFMT)) return false;
  return makedev(st.stx_dev_major, st.stx_dev_minor) != target.device() || st.stx_ino == target.number();
}

std::string Mounts::path_in(const Mount& mount, const pb::MarkTarget& target, bool& denied) {
  if (target.type() == pb::MARK_MOUNT && mount.id != target.mount_id()) return {};
  if (target.type() != pb::MARK_MOUNT && mount.device != target.device()) return {};
  std::string path = mount.point;
  if (target.type() == pb::MARK_INODE) {
    std::string_view rest = target.path();
    if (mount.root != "/") {
      if (!rest.starts_with(mount.root)) return {};
      rest.remove_prefix(mount.root.size());
      if (!rest.empty() && rest.front() != '/') return {};
    }
    if (path == "/") path.clear();
    if (rest != "/") path += rest;
    if (path.empty()) path.push_back('/');
  }
  return leads_to(mount, path, target, denied) ? path : std::string();
}

void Mounts::look_up(pb::MarkTarget& target) const {
  bool denied = false;
  for (const Mount& mount : mounts_) {
    std::string path = path_in(mount, target, denied);
    if (path.empty()) continue;
    target.set_path(path);
    return;
  }
  target.set_unnamed(denied ? fmt::format("{} {}", target.path(), kDenied)
                     : target.type() == pb::MARK_INODE
                         ? fmt::format("{} is not what any mount shows", target.path())
                         : std::string("it is not mounted where bpfckpt could see it"));
  target.clear_path();
}

}  // namespace bpfckpt::kinds
