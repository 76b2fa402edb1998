// SPDX-License-Identifier: Apache-2.0
#include "kernel/session_keyring.h"

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

namespace bpfckpt::kernel {

bool can_join_session_keyring() {
  bool joined = false;
  std::thread([&] { joined = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) >= 0; }).join();
  return joined;
}

}  // namespace bpfckpt::kernel
