// SPDX-License-Identifier: Apache-2.0
// What AppArmor, SELinux or Smack call a task: the name of the rules that it lives under. At most one of the
// three is at work (security/security.c: LSM_FLAG_EXCLUSIVE).
//
// The label is one word that no system call gives of another task; proc/TID/attr/current has it, and nothing
// else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bpfckpt::kernel {

enum class LabelModule { None, AppArmor, Other };

// Whose labels tasks have here.
LabelModule label_module();

// The label of a thread, without an end of line; nothing where it is gone, or nobody labels. `attribute` may
// be another than the current one: "exec" is for the next execve(2), "prev" what a change of hat goes back
// to.
std::optional<std::string> label_of(std::uint32_t tid, const char* attribute = "current");
// The same of the calling thread.
std::optional<std::string> own_label();

// An AppArmor label without what it says of the mode: "profile (enforce)" is the profile's.
std::string_view apparmor_profile(std::string_view label);

// Where a thread asks AppArmor for another profile, and what it writes there.
inline constexpr const char* kApparmorAttribute = "/proc/thread-self/attr/apparmor/current";
std::string apparmor_change(std::string_view label);

// Whether a thread of bpfckpt's gets that label when it asks for it, by one that does so and ends:
// Error::Conflict says why not.
Result<void> try_apparmor_label(const std::string& label);

}  // namespace bpfckpt::kernel
