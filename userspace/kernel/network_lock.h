// SPDX-License-Identifier: Apache-2.0
// The network lock: packets of some connections are dropped, in both directions, so that whoever is at the
// other end takes them for lost and sends them again. It lasts as long as the object, or, once kept, until
// somebody removes it.
//
// It is a BPF program with one map of connections (bpf/network_lock), attached to a network namespace in the
// best way that the kernel has:
//   netfilter links (since 6.4), at LOCAL_IN and LOCAL_OUT for IPv4 and IPv6: four for all interfaces;
//   tcx links (since 6.6), where netfilter is not configured: two an interface;
//   clsact classifiers: two an interface, which stay when bpfckpt dies.
// Links go with who holds them. For the sake of the last, a lock holds for some time only, unless it is kept.
// What outlives bpfckpt are links of its own, pinned while they let everything pass: it is one update of a
// map that makes a lock a kept one, so that a bpfckpt which dies leaves one or none, and never one by half.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "bpf/network_lock/network_lock.h"
#include "kernel/network_lock_hooks.h"

namespace bpfckpt::kernel {

class NetworkLock {
 public:
  // Connections: more than a tree makes between the look at it and its freeze.
  static constexpr std::size_t kLeastRoom = 65536;

  // Attaches to the calling thread's network namespace; all packets pass until renew().
  // `expected`: so many connections will be added, or some times more.
  static Result<NetworkLock> attach(std::size_t expected = 0);
  static Result<NetworkLock> attach(LockMethod method, std::size_t expected = 0,
                                    std::size_t least_room = kLeastRoom);
  // One that was kept. Error::System with ENOENT where there is none of that id.
  static Result<NetworkLock> open(std::uint64_t id);
  // Lets all packets of that one pass and removes it, also if it was pinned by half. In the namespace of
  // attach(), if by classifiers.
  static void remove_pinned(std::uint64_t id);
  NetworkLock(NetworkLock&&) noexcept = default;
  NetworkLock& operator=(NetworkLock&& other) noexcept;
  // What was not kept is removed.
  ~NetworkLock();

  LockMethod method() const { return method_; }
  // Locks these too, if not locked already. Where they are more than there is room for, what is attached is
  // exchanged for something larger, with no packet passing meanwhile.
  // Error::Unsupported: more than LOCK_MOST_CONNECTIONS; what was locked stays so.
  Result<void> add(std::span<const lock_connection> connections);
  // From now on packets of what was added are dropped; starts the time for which an unkept lock holds.
  Result<void> renew();
  // Gives it a name, by which open() finds it once it is kept. All is added.
  // Error: it may be there in part, and lets everything pass.
  Result<void> pin(std::uint64_t id);
  // Drops packets for good. One that is pinned outlives bpfckpt from this instant on. One that was kept is
  // held again: a restore that failed may have let the packets pass.
  Result<void> hold();
  // All connections go on, at one instant; what is attached stays until remove().
  Result<void> let_pass();
  // What end_unless_kept() takes; valid while the lock lives and is not outgrown.
  int own_switch() const { return own_.state.get(); }
  // All connections go on, at one instant; nothing of the lock stays. Precondition: for classifiers, called
  // in the namespace of attach(); else they stay, and let all packets pass.
  Result<void> remove();

 private:
  NetworkLock() = default;

  static NetworkLock find_pinned(std::uint64_t id, std::string& directory);
  Result<void> grow(std::size_t room);
  Result<void> hold_until(std::uint64_t until_ns);

  LockMethod method_ = LockMethod::Netfilter;
  Fd connections_;
  LockHooks own_;                       // gone with bpfckpt; of one that was opened: the kept ones' switch
  std::uint64_t until_ns_ = 0;          // of own_
  LockHooks pinned_;                    // of links only: classifiers stay anyway
  std::string directory_;               // of its pins; empty: none
  bool kept_ = false;                   // pinned, and held
  std::vector<lock_connection> added_;  // where it was not opened
};

// For who outlives the lock's owner, with a descriptor of its switch: if it was not kept, all connections go
// on. Makes system calls only.
void end_unless_kept(int own_switch);

// Ends every kept lock below a directory of pins, whoever's it is; the pins stay. How many there were.
int end_kept_locks(const std::string& pins);

}  // namespace bpfckpt::kernel
