// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace bpfckpt::kernel {

// Whether keyctl(2) lets a process have a session keyring of its own. It is tried, and costs a thread:
// credentials are a thread's own, and gone with it.
bool can_join_session_keyring();

}  // namespace bpfckpt::kernel
