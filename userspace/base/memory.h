// SPDX-License-Identifier: Apache-2.0
// Memory of bpfckpt's own, where there is much of it. To touch a fresh page of 4 KiB costs more than what is
// put there; a huge one costs as much as a few tens of them, or as a few where a hypervisor has tables of its
// own.
#pragma once

#include <cstddef>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt {

// PMD_SIZE with pages of 4 KiB.
inline constexpr std::size_t kHugePageBytes = 2 << 20;

// Anonymous memory, populated; where it is longer than half a huge page, whole huge pages (more than was
// asked for). Where the kernel has none, small ones. Error::System from mmap(2).
Result<Mapping> map_populated(std::size_t len_bytes);

// malloc(3) of the main thread keeps what is freed: models of large trees are made and dropped one after the
// other, and what one gave back, the next one takes, without the page faults that it costs to return memory
// to the kernel and fetch it again in the frozen window.
void keep_freed_memory();

// The next 256 MiB that malloc(3) takes for the main thread are in huge pages; after keep_freed_memory().
// Returns false where they are not: the kernel has none, or there are limits on memory.
bool put_heap_in_huge_pages();

}  // namespace bpfckpt
