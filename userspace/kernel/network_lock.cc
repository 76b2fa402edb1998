// SPDX-License-Identifier: Apache-2.0
#include "kernel/network_lock.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <utility>

#include "base/log.h"
#include "kernel/bpffs.h"
#include "kernel/network_lock_programs.h"

namespace bpfckpt::kernel {
namespace {

// Classifiers that are not kept, should nobody be left to end them (dump/lock_guardian.h).
constexpr std::uint64_t kHoldNs = 60'000'000'000;

constexpr const char* kConnectionsPin = "connections";
constexpr const char* kStatePin = "state";
constexpr std::string_view kDirectoryPrefix = "lock-";

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

Result<void> set_until(int state, std::uint64_t until_ns) {
  const std::uint32_t zero = 0;
  const lock_state value{until_ns};
  if (const int err = ::bpf_map_update_elem(state, &zero, &value, BPF_ANY); err != 0)
    return fail(Error::system("the network lock's state", -err));
  return {};
}

// The method's letter is in the name, since classifiers leave no pin by which they could be told.
std::string directory_name(LockMethod method, std::uint64_t id, std::uint32_t priority) {
  return fmt::format("{}{:016x}-{}-{}", kDirectoryPrefix, id, static_cast<int>(method), priority);
}

Result<void> put(int map, std::span<const lock_connection> connections) {
  const std::vector<std::uint32_t> values(connections.size(), 1);
  LIBBPF_OPTS(bpf_map_batch_opts, options);
  auto count = static_cast<std::uint32_t>(connections.size());
  if (const int err = ::bpf_map_update_batch(map, connections.data(), values.data(), &count, &options);
      err != 0)
    return fail(Error::system(fmt::format("lock {} connections", connections.size()), -err));
  return {};
}

template <class Visit>
void for_each_lock(const std::string& pins, Visit visit) {
  std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(pins.c_str()), ::closedir);
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries.get()))
    if (std::string_view(entry->d_name).starts_with(kDirectoryPrefix)) visit(std::string(entry->d_name));
}

void remove_directory(const std::string& directory) {
  std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
  if (!entries) return;
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(entries.get())) names.emplace_back(entry->d_name);
  for (const std::string& name : names)
    if (name != "." && name != "..") ::unlink(fmt::format("{}/{}", directory, name).c_str());
  ::rmdir(directory.c_str());
}

}  // namespace

Result<NetworkLock> NetworkLock::attach(std::size_t expected) {
  return attach(has_netfilter_links() ? LockMethod::Netfilter
                : has_tcx_links()     ? LockMethod::Tcx
                                      : LockMethod::Clsact,
                expected);
}

Result<NetworkLock> NetworkLock::attach(LockMethod method, std::size_t expected, std::size_t least_room) {
  // Of a large map the table of buckets takes milliseconds to make.
  const std::size_t room =
      std::clamp<std::size_t>(std::max(expected * 4, least_room), 1, LOCK_MOST_CONNECTIONS);
  NetworkLock lock;
  lock.method_ = method;
  TRY(lock.grow(room));
  return lock;
}

// The new one drops packets before the old one lets go.
Result<void> NetworkLock::grow(std::size_t room) {
  TRY_ASSIGN(LockPrograms loaded, load_lock_programs(method_, room));
  if (!added_.empty()) TRY(put(loaded.connections.get(), added_));
  TRY(set_until(loaded.state.get(), until_ns_));
  TRY_ASSIGN(LockHooks hooks, attach_lock_programs(method_, std::move(loaded.state), loaded.programs));
  detach_classifiers(own_);
  own_ = std::move(hooks);
  connections_ = std::move(loaded.connections);
  return {};
}

NetworkLock& NetworkLock::operator=(NetworkLock&& other) noexcept {
  std::swap(method_, other.method_);
  std::swap(connections_, other.connections_);
  std::swap(own_, other.own_);
  std::swap(until_ns_, other.until_ns_);
  std::swap(pinned_, other.pinned_);
  std::swap(directory_, other.directory_);
  std::swap(kept_, other.kept_);
  std::swap(added_, other.added_);
  return *this;
}

NetworkLock::~NetworkLock() {
  if (!own_.state || kept_) return;
  if (auto removed = remove(); !removed) log::warn("the network lock: {}", removed.error().message());
}

Result<void> NetworkLock::hold_until(std::uint64_t until_ns) {
  TRY(set_until(own_.state.get(), until_ns));
  until_ns_ = until_ns;
  return {};
}

Result<void> NetworkLock::renew() {
  return hold_until(method_ == LockMethod::Clsact ? now_ns() + kHoldNs : UINT64_MAX);
}

// Of classifiers it is the one switch.
Result<void> NetworkLock::hold() {
  TRY(hold_until(UINT64_MAX));
  if (pinned_.state) TRY(set_until(pinned_.state.get(), UINT64_MAX));
  kept_ = !directory_.empty();
  return {};
}

void end_unless_kept(int own_switch) {
  const std::uint32_t zero = 0;
  lock_state state{};
  if (::bpf_map_lookup_elem(own_switch, &zero, &state) != 0 || state.until_ns == UINT64_MAX) return;
  state.until_ns = 0;
  ::bpf_map_update_elem(own_switch, &zero, &state, BPF_ANY);
}

Result<void> NetworkLock::let_pass() {
  Result<void> passed = pinned_.state ? set_until(pinned_.state.get(), 0) : Result<void>{};
  TRY(hold_until(0));
  return passed;
}

Result<void> NetworkLock::add(std::span<const lock_connection> connections) {
  if (connections.empty()) return {};
  Result<void> done = put(connections_.get(), connections);
  if (!done && done.error().err() == E2BIG && directory_.empty()) {
    const std::size_t all = added_.size() + connections.size();
    if (all > LOCK_MOST_CONNECTIONS)
      return fail(Error::unsupported(
          fmt::format("{} connections, of which at most {} can be locked", all, +LOCK_MOST_CONNECTIONS)));
    TRY(grow(std::min<std::size_t>(all * 2, LOCK_MOST_CONNECTIONS)));
    done = put(connections_.get(), connections);
  }
  TRY(std::move(done));
  added_.insert(added_.end(), connections.begin(), connections.end());
  return {};
}

Result<void> NetworkLock::pin(std::uint64_t id) {
  TRY_ASSIGN(PinDirectory pins, PinDirectory::open());
  if (method_ != LockMethod::Clsact) {
    TRY_ASSIGN(LockPrograms loaded, load_lock_programs(method_, connections_));
    TRY_ASSIGN(pinned_, attach_lock_programs(method_, std::move(loaded.state), loaded.programs));
  }
  const LockHooks& hooks = pinned_.state ? pinned_ : own_;
  const std::string directory =
      fmt::format("{}/{}", pins.path(), directory_name(method_, id, hooks.classifier_priority));
  if (::mkdir(directory.c_str(), 0700) != 0) return fail(Error::system(directory));
  auto pin = [&](int fd, const std::string& name) -> Result<void> {
    if (const int err = ::bpf_obj_pin(fd, fmt::format("{}/{}", directory, name).c_str()); err != 0)
      return fail(Error::system(fmt::format("pin {}/{}", directory, name), -err));
    return {};
  };
  auto pin_all = [&]() -> Result<void> {
    TRY(pin(connections_.get(), kConnectionsPin));
    TRY(pin(hooks.state.get(), kStatePin));
    for (std::size_t i = 0; i < hooks.links.size(); i++)
      TRY(pin(hooks.links[i].get(), fmt::format("link-{}", i)));
    return {};
  };
  if (auto done = pin_all(); !done) {
    remove_directory(directory);
    return done;
  }
  directory_ = directory;
  return {};
}

// `directory`: empty, if there is none.
NetworkLock NetworkLock::find_pinned(std::uint64_t id, std::string& directory) {
  NetworkLock lock;
  auto pins = PinDirectory::open();
  if (!pins) return lock;
  const std::string wanted = fmt::format("{}{:016x}-", kDirectoryPrefix, id);
  for_each_lock(pins->path(), [&](const std::string& name) {
    int method = 0;
    std::uint32_t priority = 0;
    if (!name.starts_with(wanted) ||
        std::sscanf(name.c_str() + wanted.size(), "%d-%u", &method, &priority) != 2)
      return;
    lock.method_ = static_cast<LockMethod>(method);
    lock.own_.classifier_priority = priority;
    directory = fmt::format("{}/{}", pins->path(), name);
  });
  if (directory.empty()) return lock;
  lock.connections_.reset(::bpf_obj_get(fmt::format("{}/{}", directory, kConnectionsPin).c_str()));
  lock.own_.state.reset(::bpf_obj_get(fmt::format("{}/{}", directory, kStatePin).c_str()));
  lock.kept_ = true;
  return lock;
}

Result<NetworkLock> NetworkLock::open(std::uint64_t id) {
  std::string directory;
  NetworkLock lock = find_pinned(id, directory);
  if (directory.empty()) return fail(Error::system("the checkpoint's network lock", ENOENT));
  if (!lock.connections_ || !lock.own_.state) return fail(Error::system(directory, ENOENT));
  lock.directory_ = std::move(directory);
  return lock;
}

void NetworkLock::remove_pinned(std::uint64_t id) {
  std::string directory;
  NetworkLock lock = find_pinned(id, directory);
  if (lock.own_.state) (void)lock.let_pass();
  detach_classifiers(lock.own_);
  if (!directory.empty()) remove_directory(directory);
}

Result<void> NetworkLock::remove() {
  Result<void> ended = let_pass();
  detach_classifiers(own_);
  if (!directory_.empty()) remove_directory(std::exchange(directory_, {}));
  pinned_ = {};
  own_ = {};
  connections_.reset();
  kept_ = false;
  return ended;
}

int end_kept_locks(const std::string& pins) {
  int ended = 0;
  for_each_lock(pins, [&](const std::string& name) {
    Fd state(::bpf_obj_get(fmt::format("{}/{}/{}", pins, name, kStatePin).c_str()));
    if (state && set_until(state.get(), 0)) ended++;
  });
  return ended;
}

}  // namespace bpfckpt::kernel
