// SPDX-License-Identifier: Apache-2.0
// Obstacles of a process (pb::Process) that are more than the name of what it uses.
#pragma once

#include <string_view>

namespace bpfckpt {

// How one begins that names namespaces which are not bpfckpt's own.
inline constexpr std::string_view kForeignNamespaces = "namespaces: ";
inline constexpr const char* kKernelThread = "kernel-thread";
inline constexpr const char* kLandlockDomain = "landlock-domain";
// How one begins that names the label of a security module, or what else a task asked it for.
inline constexpr std::string_view kSecurityLabel = "security-label: ";
inline constexpr const char* kKeyring = "keyring";
// A thread has an io_uring registered of which no process of the tree has a descriptor.
inline constexpr const char* kUringWithoutDescriptor = "io_uring-without-a-descriptor";

}  // namespace bpfckpt
