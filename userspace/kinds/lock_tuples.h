// SPDX-License-Identifier: Apache-2.0
// Whose packets the network lock is to drop.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <vector>

#include "bpf/network_lock/network_lock.h"
#include "images/kinds/inet.pb.h"

namespace bpfckpt::kinds {

// Each connection once: where both ends are in the tree, the one that is met first is enough for the packets
// of both.
class LockTuples {
 public:
  void add(const pb::InetSocket& inet);
  // All that were ever added.
  std::size_t size() const { return known_.size(); }
  // Those that were added since the last call.
  std::vector<lock_connection> take();

 private:
  std::unordered_set<std::string> known_;  // the bytes of a lock_connection
  std::vector<lock_connection> fresh_;
};

}  // namespace bpfckpt::kinds
