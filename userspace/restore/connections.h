// SPDX-License-Identifier: Apache-2.0
// TCP connections at restore: what is checked before anything is made, and what is done when all is made.
//
// The plan leaves each connection in repair mode, in which it sends nothing: a restore that fails takes it
// away again without a word. All its packets are locked out meanwhile. At the end, with the tree complete and
// still held, what the other end had closed is closed again by packets of our own, in its name, that the lock
// lets pass; then the lock goes, repair mode ends, and what was written and not sent is sent. What was sent
// and not acknowledged is in the queue as sent: the other end, which may have it, acknowledges what is beyond
// that which it would be sent first (net/ipv4/tcp_input.c:tcp_ack() drops what was never sent, and for good).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/fd.h"
#include "image/reader.h"
#include "images/kinds/tcp.pb.h"
#include "kernel/network_lock.h"
#include "model/model.h"

namespace bpfckpt::restore {

// Error::Conflict: addresses that this machine does not have, ports and connections that are taken, and by
// whom; all of them. `given`: files that the caller gives.
Result<void> check_network(const Model& model, const std::vector<std::uint32_t>& given);

// Before all else of a restore: connections come back as if the other end had reset them (--tcp-close).
Result<void> close_connections(Model& model);

class Connections {
 public:
  // `reader` outlives it.
  Connections(const image::ImageReader& reader, const std::vector<std::uint32_t>& given);

  // Before anything is made. `lock_id` is the manifest's, 0: none; Error where the machine can lock nothing.
  Result<void> lock(std::uint64_t lock_id);
  // With every process complete, and none of them running. Half-way through, an error leaves connections that
  // the other ends may hear of.
  Result<void> give_back();

 private:
  struct One {
    const pb::File* file;
    pb::Tcp tcp;
  };
  struct Place {
    std::uint32_t pid = 0;
    std::uint32_t fd = 0;
  };

  Result<Fd> fetch(const One& one);
  Result<void> close_as_other_end(const One& one);
  Result<void> switch_on(const One& one);
  Result<void> connect(const One& one, int fd);
  Result<void> send_rest(const One& one, int fd);

  const image::ImageReader& reader_;
  std::vector<One> connections_;                     // SYN-SENT among them
  Result<void> unread_;                              // an image that cannot be understood
  std::unordered_map<std::uint32_t, Place> places_;  // by file
  std::map<std::uint32_t, Fd> pidfds_;
  std::map<std::string, Fd> images_;
  std::optional<kernel::NetworkLock> lock_;
};

}  // namespace bpfckpt::restore
