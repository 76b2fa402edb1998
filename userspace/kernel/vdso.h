// SPDX-License-Identifier: Apache-2.0
// The code that the kernel maps into every process, and how calls into that of one kernel become calls into
// that of another.
//
// A program remembers where the functions of its vDSO are (glibc looks them up once). On another kernel, or
// the same one built anew, they are elsewhere, and the data that they read looks different. So the old vDSO
// stays where it was as ordinary memory, each of its functions a jump to the one of this kernel, or, if this
// kernel's has no such function, the system call that it would have saved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bpfckpt::kernel {

// Offsets of functions from the beginning of the image, by name. Error::BadImage: no ELF image that has them.
Result<std::map<std::string, std::uint64_t>> vdso_functions(std::span<const std::byte> image);

// `old_image` with its functions led to those of `image`, which is mapped at `address`. Error::Conflict names
// a function that cannot be led anywhere.
Result<std::vector<std::byte>> lead_over(std::span<const std::byte> old_image,
                                         std::span<const std::byte> image, std::uint64_t address);

// --- what depends on the architecture (x86_64/vdso_code.cc)

// Instructions that go on at `address`, from wherever they stand, and touch no register.
std::vector<std::byte> jump_to(std::uint64_t address);
// Instructions that do by a system call what the vDSO's function of that name does, and return. Empty: there
// is no such call.
std::vector<std::byte> call_instead_of(std::string_view function);
// Whether the old code of that function can stay: it reads nothing that the kernel keeps for it, or nobody in
// a checkpoint can have a use for it.
bool works_by_itself(std::string_view function);

}  // namespace bpfckpt::kernel
