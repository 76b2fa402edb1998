// SPDX-License-Identifier: Apache-2.0
#include "kinds/lock_tuples.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace bpfckpt::kinds {
namespace {

lock_connection tuple_of(const pb::InetSocket& inet) {
  lock_connection connection{};
  std::memcpy(connection.local, inet.local_address().data(),
              std::min<std::size_t>(16, inet.local_address().size()));
  std::memcpy(connection.remote, inet.remote_address().data(),
              std::min<std::size_t>(16, inet.remote_address().size()));
  connection.local_port = htons(static_cast<std::uint16_t>(inet.local_port()));
  connection.remote_port = htons(static_cast<std::uint16_t>(inet.remote_port()));
  return connection;
}

lock_connection reverse(const lock_connection& connection) {
  lock_connection other{};
  std::memcpy(other.local, connection.remote, sizeof other.local);
  std::memcpy(other.remote, connection.local, sizeof other.remote);
  other.local_port = connection.remote_port;
  other.remote_port = connection.local_port;
  return other;
}

std::string key(const lock_connection& connection) {
  return {reinterpret_cast<const char*>(&connection), sizeof connection};
}

}  // namespace

void LockTuples::add(const pb::InetSocket& inet) {
  const lock_connection connection = tuple_of(inet);
  if (!known_.contains(key(reverse(connection))) && known_.insert(key(connection)).second)
    fresh_.push_back(connection);
}

std::vector<lock_connection> LockTuples::take() {
  return std::exchange(fresh_, {});
}

}  // namespace bpfckpt::kinds
