// SPDX-License-Identifier: Apache-2.0
// TCP connections while a dump has them: locked out of the network, read, and taken out of the kernel.
//
// Packets of all connections are dropped, also of those with both ends in the tree: both are frozen, but the
// kernel goes on to send for them (what is paced, what an acknowledgement makes room for), and what one end
// had seen acknowledged after the other end's numbers were read would be nowhere. Only where the other end is
// outside of the tree the lock is of use beyond the end of the tree.
//
// The numbers come with the tree's other records, the bytes are read after them. In between packets that were
// on their way may arrive; a queue is cut to what the numbers say, and what came later the other end sends
// again, since its acknowledgement is dropped as well.
#pragma once

#include <optional>
#include <vector>

#include "dump/borrow.h"
#include "dump/held_sockets.h"
#include "dump/last_step.h"
#include "dump/lock_guardian.h"
#include "dump/repair_guardian.h"
#include "kernel/network_lock.h"
#include "kinds/lock_tuples.h"
#include "kinds/policy.h"
#include "kinds/tcp.h"
#include "model/model.h"

namespace bpfckpt::dump {

class Connections {
 public:
  explicit Connections(const DumpPolicy& policy) : policy_(policy) {}

  // Before the freeze, with what a look at the running tree has shown; nothing is locked yet.
  Result<void> prepare(const Model& model);
  // With the tree frozen, before it is collected: locks those of prepare().
  Result<void> lock();
  // Then: locks what was opened since, if there is any; the tree must then be collected again.
  Result<bool> lock_new(const Model& model);
  // Marks connections as closed (--tcp-close), or reads what is in their queues.
  Result<void> read(Model& model, Borrower& borrower, image::ImageWriter& writer);
  // The frozen window may be long.
  Result<void> renew();

  // The lock's name in the manifest; 0: none that outlives us.
  std::uint64_t lock_id() const { return lock_id_; }
  // When the checkpoint is complete and the tree is going to be killed or left stopped: its connections must
  // end without a word, and the lock must outlive us. If we die from here on, the tree goes on without a
  // lock.
  Result<void> keep(const Model& model, Borrower& borrower);
  // From here on the tree is killed and the lock stays, whether we live or not; then the tree is to be
  // killed.
  Result<void> commit();
  // When the tree is gone: ends its connections.
  void destroy();
  // When the tree is stopped for good: the lock stays.
  void leave();
  // After keep() or commit(), where they or what follows fails: the tree is going to go on, without a lock.
  void take_back();
  // Before the tree goes on: lets all packets pass. lock() may follow.
  Result<void> unlock();
  // The same, unless the lock is kept; where the dump fails.
  void give_up();

 private:
  bool needs_lock(const pb::Tcp& tcp) const;
  Result<void> add(const Model& model);
  Result<void> read_received(pb::Tcp& tcp, const pb::File& file, Borrower& borrower,
                             const image::RawImage& image);
  Result<void> write_pending(const image::RawImage& image);

  const DumpPolicy& policy_;
  std::optional<kernel::NetworkLock> lock_;
  std::uint64_t lock_id_ = 0;
  bool let_pass_ = false;
  bool kept_ = false;
  std::optional<RepairGuardian> guardian_;
  std::optional<LockGuardian> lock_guardian_;
  kinds::LockTuples locked_;
  HeldSockets sockets_;
  std::optional<LastStep> last_step_;
  std::uint64_t written_bytes_ = 0;  // to the image, or waiting in pending_
  std::vector<char> pending_;
};

// Declared after the tree, and so gone before it: a tree that is let go because of an error finds its
// packets.
class PassOnError {
 public:
  explicit PassOnError(Connections& connections) : connections_(connections) {}
  PassOnError(const PassOnError&) = delete;
  PassOnError& operator=(const PassOnError&) = delete;
  ~PassOnError() { connections_.give_up(); }

 private:
  Connections& connections_;
};

}  // namespace bpfckpt::dump
