// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "plan/builder.h"

namespace bpfckpt::restore {

// This machine, as bpfckpt finds it.
class HostEnvironment : public Environment {
 public:
  explicit HostEnvironment(std::vector<SpecialMapping> special) : special_(std::move(special)) {}

  bool path_exists(const std::string& path) const override;
  std::vector<SpecialMapping> special_mappings() const override { return special_; }
  int descriptor_limit() const override;
  int caller_terminal() const override;
  bool timer_ids_restorable() const override;
  int oom_score_adj() const override;
  std::uint32_t coredump_filter() const override;
  int last_capability() const override;
  bool queue_exists(const std::string& name) const override;
  bool segment_exists(std::uint32_t id) const override;
  Ids ids() const override;
  std::string security_label() const override;
  std::optional<kernel::Clamps> own_clamps() const override { return kernel::own_clamps(); }
  bool can_join_session_keyring() const override;
  std::int64_t clock_ns(clockid_t clock) const override;
  std::uint32_t possible_cpus() const override;
  SocketBuffers socket_buffers() const override;

 private:
  std::vector<SpecialMapping> special_;
  mutable int last_capability_ = -1;                   // asked for each thread: found out once
  mutable std::optional<std::string> security_label_;  // so is this
  mutable std::optional<bool> joins_session_keyring_;
  mutable std::optional<SocketBuffers> socket_buffers_;
};

}  // namespace bpfckpt::restore
