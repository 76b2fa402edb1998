// SPDX-License-Identifier: Apache-2.0
// bpf(2), as far as tests of tests/cr need it.
#pragma once

#include <linux/bpf.h>

#include <cstdint>

#include "harness/cr_test.h"

namespace cr {

inline bpf_attr bpf_attribute() {
  bpf_attr attribute;
  std::memset(&attribute, 0, sizeof attribute);
  return attribute;
}

inline int bpf(int command, bpf_attr& attribute) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attribute, sizeof attribute));
}

// -1 and errno, as bpf(2).
inline int create_map(std::uint32_t type, std::uint32_t key_bytes, std::uint32_t value_bytes,
                      std::uint32_t max_entries, std::uint32_t flags = 0, const char* name = "") {
  bpf_attr create = bpf_attribute();
  create.map_type = type;
  create.key_size = key_bytes;
  create.value_size = value_bytes;
  create.max_entries = max_entries;
  create.map_flags = flags;
  std::strncpy(create.map_name, name, sizeof create.map_name - 1);
  return bpf(BPF_MAP_CREATE, create);
}

template <class Key, class Value>
int update(int fd, const Key& key, const Value& value) {
  bpf_attr attribute = bpf_attribute();
  attribute.map_fd = static_cast<std::uint32_t>(fd);
  attribute.key = reinterpret_cast<std::uint64_t>(&key);
  attribute.value = reinterpret_cast<std::uint64_t>(&value);
  return bpf(BPF_MAP_UPDATE_ELEM, attribute);
}

template <class Key, class Value>
int lookup(int fd, const Key& key, Value& value) {
  bpf_attr attribute = bpf_attribute();
  attribute.map_fd = static_cast<std::uint32_t>(fd);
  attribute.key = reinterpret_cast<std::uint64_t>(&key);
  attribute.value = reinterpret_cast<std::uint64_t>(&value);
  return bpf(BPF_MAP_LOOKUP_ELEM, attribute);
}

template <class Key>
int count_keys(int fd) {
  int count = 0;
  Key key{}, next{};
  for (bool first = true;; first = false) {
    bpf_attr attribute = bpf_attribute();
    attribute.map_fd = static_cast<std::uint32_t>(fd);
    attribute.key = first ? 0 : reinterpret_cast<std::uint64_t>(&key);
    attribute.next_key = reinterpret_cast<std::uint64_t>(&next);
    if (bpf(BPF_MAP_GET_NEXT_KEY, attribute) != 0) return count;
    count++;
    key = next;
  }
}

inline bpf_map_info map_info(int fd) {
  bpf_map_info info{};
  bpf_attr attribute = bpf_attribute();
  attribute.info.bpf_fd = static_cast<std::uint32_t>(fd);
  attribute.info.info = reinterpret_cast<std::uint64_t>(&info);
  attribute.info.info_len = sizeof info;
  REQUIRE(bpf(BPF_OBJ_GET_INFO_BY_FD, attribute) == 0);
  return info;
}

inline int open_map(std::uint32_t id, std::uint32_t flags) {
  bpf_attr attribute = bpf_attribute();
  attribute.map_id = id;
  attribute.open_flags = flags;
  return bpf(BPF_MAP_GET_FD_BY_ID, attribute);
}

inline int freeze_map(int fd) {
  bpf_attr attribute = bpf_attribute();
  attribute.map_fd = static_cast<std::uint32_t>(fd);
  return bpf(BPF_MAP_FREEZE, attribute);
}

}  // namespace cr
