// SPDX-License-Identifier: Apache-2.0
// Copies from a file into the memory of another process.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "base/result.h"
#include "image/checksum.h"

namespace bpfckpt::restore {

// Into `parts` of process `pid`, whose mappings must be writable, from byte `offset` of `fd` on. A file that
// is too short is Error::BadImage. Where a userfaultfd of the process is given (else -1), with which they are
// registered for missing pages, the kernel takes new pages for the bytes without clearing them first. All
// bytes are added to `checksum`, if there is one. Any number of threads may be at it at the same time.
Result<void> fill_pages(pid_t pid, int fd, std::span<const iovec> parts, std::uint64_t offset,
                        int userfaultfd, image::BlockChecksum* checksum);

}  // namespace bpfckpt::restore
