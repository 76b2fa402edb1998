// SPDX-License-Identifier: Apache-2.0
#include "kinds/unix_names.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cstring>
#include <set>
#include <tuple>

#include "kinds/unix.h"

namespace bpfckpt::kinds {
namespace {

constexpr unsigned kCloexec = 1;       // FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
constexpr unsigned kConfigCreate = 6;  // FSCONFIG_CMD_CREATE
constexpr std::int64_t kKeep = -1;     // setresuid(2)

// The directories on the way of a name, from where it is looked up, and the node at its end.
struct Way {
  std::size_t up = 0;  // levels that it goes up from there
  std::vector<std::string> directories;
  std::string node;
};

Way way_of(const std::string& name) {
  Way way;
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    if (end != at) parts.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  // Once to see how far up, once more from there.
  std::ptrdiff_t depth = 0, lowest = 0;
  const bool absolute = name.starts_with('/');
  for (std::size_t i = 0; i + 1 < parts.size(); i++) {
    if (parts[i] == ".") continue;
    depth += parts[i] == ".." ? -1 : 1;
    if (absolute) depth = std::max<std::ptrdiff_t>(depth, 0);
    lowest = std::min(lowest, depth);
  }
  way.up = static_cast<std::size_t>(-lowest);
  std::vector<std::string> here(way.up, "d");
  auto joined = [&] {
    std::string path;
    for (const std::string& part : here) path += "/" + part;
    return path;
  };
  for (std::size_t i = 0; i + 1 < parts.size(); i++) {
    if (parts[i] == ".") continue;
    if (parts[i] == "..") {
      if (!here.empty()) here.pop_back();
      continue;
    }
    here.push_back(parts[i]);
    way.directories.push_back(joined());
  }
  way.node = joined() + "/" + (parts.empty() ? "." : parts.back());
  return way;
}

}  // namespace

// --- who calls

bool same_caller(const pb::PeerCredentials& a, const pb::PeerCredentials& b) {
  return a.pid() == b.pid() && a.uid() == b.uid() && a.gid() == b.gid() &&
         std::ranges::equal(a.groups(), b.groups());
}

bool caller_before(const pb::PeerCredentials& a, const pb::PeerCredentials& b) {
  const auto key = [](const pb::PeerCredentials& who) { return std::tuple(who.pid(), who.uid(), who.gid()); };
  if (key(a) != key(b)) return key(a) < key(b);
  return std::ranges::lexicographical_compare(a.groups(), b.groups());
}

Actor Callers::actor_for(const pb::PeerCredentials& who) const {
  const pb::Process* process = plan_.index().process(who.pid());
  return process != nullptr && process->state() != pb::ZOMBIE ? who.pid() : plan_.plan().root;
}

bool Callers::become(Actor actor, const pb::PeerCredentials& who) {
  const Environment::Ids own = plan_.environment().ids();
  if (who.uid() == own.euid && who.gid() == own.egid && who.groups().empty()) return false;
  const std::vector<std::uint32_t> groups(who.groups().begin(), who.groups().end());
  const DataId block = plan_.data(std::as_bytes(std::span(groups)));
  plan_.call(actor, SYS_setgroups, {groups.size(), groups.empty() ? Operand(0) : Operand::data(block)});
  plan_.call(actor, SYS_setresgid, {kKeep, who.gid(), kKeep});
  plan_.call(actor, SYS_setresuid, {kKeep, who.uid(), kKeep});
  return true;
}

// Groups are set once more with all other ids, at the end.
void Callers::become_again(Actor actor) {
  const Environment::Ids own = plan_.environment().ids();
  plan_.call(actor, SYS_setresuid, {kKeep, own.euid, kKeep});
  plan_.call(actor, SYS_setresgid, {kKeep, own.egid, kKeep});
  plan_.call(actor, SYS_setgroups, {0, 0});
}

// --- names

Address UnixNames::block_of(const std::string& name) {
  std::vector<std::byte> bytes(offsetof(sockaddr_un, sun_path) + name.size());
  const sa_family_t family = AF_UNIX;
  std::memcpy(bytes.data(), &family, sizeof family);
  std::memcpy(bytes.data() + offsetof(sockaddr_un, sun_path), name.data(), name.size());
  return {plan_.data(bytes), bytes.size()};
}

void UnixNames::add(Name name, SetPlace set_place) {
  if (is_abstract(name.name))
    abstract_.push_back(std::move(name));
  else
    hidden_.push_back({std::move(name), std::move(set_place), {}, {}});
}

Result<void> UnixNames::add_bound(Operand fd, const pb::UnixSocket& socket, bool needs_place,
                                  SetPlace set_place) {
  const std::string& name = socket.name();
  if (is_abstract(name) || socket.node().deleted()) {
    add({fd, name, needs_place}, std::move(set_place));
    return {};
  }
  const pb::UnixNode& node = socket.node();
  Visible visible{fd,         name,        node.path(),         "", node.mode(), node.uid(),
                  node.gid(), needs_place, std::move(set_place)};
  if (name.front() != '/') {
    std::size_t up = 0;
    visible.directory = directory_of_relative(name, node.path(), up);
    if (visible.directory.empty())
      return fail(Error::bad_image(fmt::format("unix socket: its name does not lead to {}", node.path())));
    // "../x" is looked up from below.
    if (up != 0) {
      const std::string* below = nullptr;
      for (const pb::FsContext& fs : plan_.model().tasks.fs_contexts()) {
        const std::string& cwd = fs.cwd().path();
        const std::string prefix = visible.directory == "/" ? "/" : visible.directory + "/";
        if (!fs.cwd().deleted() && cwd.starts_with(prefix) &&
            static_cast<std::size_t>(std::ranges::count(cwd.substr(prefix.size()), '/')) == up - 1)
          below = &cwd;
      }
      if (below == nullptr)
        return fail(Error::unsupported(
            fmt::format("unix socket {}: no process stands in a directory from which that name leads to {}",
                        unix_name_text(name), node.path())));
      visible.directory = *below;
    }
  }
  visible_.push_back(std::move(visible));
  return {};
}

// Makes the directories of a hidden name.
void UnixNames::hide(Hidden& hidden) {
  if (!hidden_root_) {
    OpId context =
        plan_.call(kSelf, SYS_fsopen, {Operand::data(text("tmpfs")), kCloexec}, "for hidden names");
    plan_.call(kSelf, SYS_fsconfig, {Operand::result(context), kConfigCreate, 0, 0, 0});
    hidden_root_ = Operand::result(plan_.call(kSelf, SYS_fsmount, {Operand::result(context), kCloexec, 0}));
    plan_.call(kSelf, SYS_close, {Operand::result(context)});
  }
  std::string base = std::to_string(hidden_count_++);
  auto make = [&](const std::string& path) {
    plan_.call(kSelf, SYS_mkdirat, {*hidden_root_, Operand::data(text(path)), 0755});
  };
  make(base);
  const Way way = way_of(hidden.name.name);
  std::string start = base;
  std::set<std::string> made;
  for (std::size_t i = 0; i < way.up; i++) {
    make(start += "/d");
    made.insert(start.substr(base.size()));
  }
  for (const std::string& directory : way.directories)
    if (made.insert(directory).second) make(base + directory);
  hidden.node = base + way.node;
  hidden.directory = Operand::result(plan_.call(
      kSelf, SYS_openat, {*hidden_root_, Operand::data(text(start)), O_PATH | O_DIRECTORY | O_CLOEXEC}));
  hidden_nodes_.push_back(hidden.node);
}

void UnixNames::bind_there(std::vector<Hidden>& hidden) {
  if (hidden.empty()) return;
  const Actor root = plan_.plan().root;
  const Operand slash = Operand::data(text("/")), dot = Operand::data(text("."));
  const Operand back =
      Operand::result(plan_.call(root, SYS_openat, {AT_FDCWD, slash, O_PATH | O_DIRECTORY | O_CLOEXEC}));
  for (Hidden& one : hidden) {
    const bool absolute = one.name.name.front() == '/';
    const Operand directory = Operand::result(plan_.op(Op::Code::Pull, root, {one.directory}));
    const Operand fd = Operand::result(plan_.op(Op::Code::Pull, root, {one.name.fd}));
    const Address address = block_of(one.name.name);
    plan_.call(root, SYS_fchdir, {directory});
    if (absolute) plan_.call(root, SYS_chroot, {dot});
    plan_.call(root, SYS_bind, {fd, Operand::data(address.block), address.bytes}, "hidden name");
    plan_.call(root, SYS_fchdir, {back});
    if (absolute) plan_.call(root, SYS_chroot, {dot});
    plan_.call(root, SYS_close, {fd});
    plan_.call(root, SYS_close, {directory});
  }
  plan_.call(root, SYS_close, {back});
}

void UnixNames::plan() {
  if (abstract_.empty() && hidden_.empty() && visible_.empty()) return;
  const Actor root = plan_.plan().root;
  plan_.phase("unix names");
  for (const Name& name : abstract_) {
    const Address address = block_of(name.name);
    if (name.may_fail)
      plan_.try_call(kSelf, SYS_bind, {name.fd, Operand::data(address.block), address.bytes},
                     "name of who is gone");
    else
      plan_.call(kSelf, SYS_bind, {name.fd, Operand::data(address.block), address.bytes}, "name");
  }
  for (Hidden& hidden : hidden_) hide(hidden);
  for (Visible& visible : visible_) {
    const std::string parent = directory_of(visible.path);
    std::unique_ptr<DirectoryTimes>& times = directories_[parent];
    if (times == nullptr) times = std::make_unique<DirectoryTimes>(plan_, Operand::data(text(parent)));
    // restore/socket_checks.cc saw that it is a socket that nobody has.
    if (plan_.environment().path_exists(visible.path))
      plan_.call(kSelf, SYS_unlink, {Operand::data(text(visible.path))}, "left behind");
    const Address address = block_of(visible.name);
    if (visible.directory.empty()) {
      plan_.call(kSelf, SYS_bind, {visible.fd, Operand::data(address.block), address.bytes}, "name");
      // It was renamed since; or a directory on the way is a symbolic link, and then this does nothing.
      if (visible.name != visible.path)
        plan_.call(kSelf, SYS_rename, {Operand::data(text(visible.name)), Operand::data(text(visible.path))},
                   "name");
      continue;
    }
    const Operand fd = Operand::result(plan_.op(Op::Code::Pull, root, {visible.fd}));
    plan_.call(root, SYS_chdir, {Operand::data(text(visible.directory))});
    plan_.call(root, SYS_bind, {fd, Operand::data(address.block), address.bytes}, "relative name");
    plan_.call(root, SYS_close, {fd});
  }
  bind_there(hidden_);
  plan_.phase("unix names made");
  auto open_place = [&](Operand directory, const std::string& path, const SetPlace& set) {
    const Operand place = Operand::result(plan_.call(
        kSelf, SYS_openat, {directory, Operand::data(text(path)), O_PATH | O_NOFOLLOW | O_CLOEXEC}, "place"));
    plan_.close_later(place);
    if (set) set(place);
  };
  for (Hidden& hidden : hidden_) {
    plan_.call(kSelf, SYS_close, {hidden.directory});
    if (hidden.name.needs_place) open_place(*hidden_root_, hidden.node, hidden.set_place);
  }
  for (Visible& visible : visible_) {
    const Operand path = Operand::data(text(visible.path));
    if (visible.uid != 0 || visible.gid != 0)
      plan_.call(kSelf, SYS_fchownat, {AT_FDCWD, path, visible.uid, visible.gid, AT_SYMLINK_NOFOLLOW});
    plan_.call(kSelf, SYS_fchmodat, {AT_FDCWD, path, visible.mode & 07777});
    if (visible.needs_place) open_place(Operand(AT_FDCWD), visible.path, visible.set_place);
  }
  for (auto& [path, times] : directories_) times->put_back();
  directories_.clear();
  abstract_.clear();
  hidden_.clear();
  visible_.clear();
}

void UnixNames::remove_hidden() {
  if (!hidden_root_) return;
  for (const std::string& node : hidden_nodes_)
    plan_.call(kSelf, SYS_unlinkat, {*hidden_root_, Operand::data(text(node)), 0});
  plan_.call(kSelf, SYS_close, {*hidden_root_});
  hidden_nodes_.clear();
  hidden_root_.reset();
}

// A number that is free in every process, besides the channel's, and in bpfckpt.
int UnixNames::place_number() {
  if (place_number_ >= 0) return place_number_;
  std::set<std::uint32_t> used;
  for (const pb::FdTable& table : plan_.model().files.tables())
    for (const pb::FdEntry& entry : table.entries()) used.insert(entry.fd());
  place_number_ = plan_.environment().descriptor_limit() - 1;
  while (place_number_ > 0 && (place_number_ == plan_.plan().channel_fd ||
                               used.contains(static_cast<std::uint32_t>(place_number_))))
    place_number_--;
  return place_number_;
}

Address UnixNames::address(Actor actor, const std::string& name, const std::optional<Operand>& place) {
  if (!place) return block_of(name);
  const int number = place_number();
  const auto it = places_.find(actor);
  const bool there =
      it != places_.end() && it->second.type == place->type && it->second.index == place->index;
  if (!there) {
    Operand from = *place;
    if (actor != kSelf) from = Operand::result(plan_.op(Op::Code::Pull, actor, {from}));
    plan_.call(actor, SYS_dup3, {from, number, O_CLOEXEC});
    if (actor != kSelf) plan_.call(actor, SYS_close, {from});
    places_[actor] = *place;
  }
  return block_of(fmt::format("/proc/self/fd/{}", number));
}

void UnixNames::forget_place(Actor actor) {
  if (places_.erase(actor) != 0) plan_.call(actor, SYS_close, {place_number_});
}

}  // namespace bpfckpt::kinds
