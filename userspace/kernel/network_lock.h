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
// Links go with who holds them. For the sake of the last, a lock holds for some time only, unless it is kept:
// that takes one update of a map and so happens at one instant, too.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "bpf/network_lock/network_lock.h"

namespace bpfckpt::kernel {

enum class LockMethod { Netfilter, Tcx, Clsact };
std::string_view to_string(LockMethod method);
// Asks the kernel, as this process with its privileges.
bool has_netfilter_links();
bool has_tcx_links();

class NetworkLock {
 public:
  // Attaches to the calling thread's network namespace; all packets pass until renew().
  // `expected`: so many connections will be added, or some times more.
  static Result<NetworkLock> attach(std::size_t expected = 0);
  static Result<NetworkLock> attach(LockMethod method, std::size_t expected = 0);
  // One that was kept. Error::System with ENOENT where there is none of that id.
  static Result<NetworkLock> open(std::uint64_t id);
  NetworkLock(NetworkLock&&) noexcept = default;
  NetworkLock& operator=(NetworkLock&& other) noexcept;
  // What was not kept is removed.
  ~NetworkLock();

  LockMethod method() const { return method_; }
  // Locks these too, if not locked already.
  Result<void> add(std::span<const lock_connection> connections);
  // From now on packets of what was added are dropped; starts the time for which an unkept lock holds.
  Result<void> renew();
  // The same of one that was kept, for good: a restore that failed may have let the packets pass.
  Result<void> hold();
  // All connections go on, at one instant; what is attached stays until remove().
  Result<void> let_pass();
  // From now on it outlives bpfckpt. Error: it may be there in part, and ends by itself.
  Result<void> keep(std::uint64_t id);
  // All connections go on, at one instant; nothing of the lock stays. Precondition: for classifiers, called
  // in the namespace of attach(); else they stay, and let all packets pass.
  Result<void> remove();

 private:
  NetworkLock() = default;

  Result<void> attach_netfilter(int program);
  Result<void> attach_tcx(int in_program, int out_program);
  Result<void> attach_classifiers(int in_program, int out_program);
  void detach_classifiers();
  Result<void> hold_until(std::uint64_t until_ns);

  LockMethod method_ = LockMethod::Netfilter;
  Fd connections_, state_;
  std::vector<Fd> links_;
  std::uint32_t classifier_priority_ = 0;  // of this lock alone; 0: none
  std::string directory_;                  // of its pins; empty: not kept
};

// Ends every kept lock below a directory of pins, whoever's it is; the pins stay. How many there were.
int end_kept_locks(const std::string& pins);

}  // namespace bpfckpt::kernel
