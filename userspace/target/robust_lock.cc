// SPDX-License-Identifier: Apache-2.0
#include "target/robust_lock.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace bpfckpt::target {

RobustList::RobustList() {
  head_.list.next = &head_.list;
  head_.futex_offset = static_cast<long>(kDistance);
  head_.list_op_pending = nullptr;
  ::syscall(SYS_get_robust_list, 0, &previous_, &previous_len_);
  ::syscall(SYS_set_robust_list, &head_, sizeof head_);
}

RobustList::~RobustList() {
  ::syscall(SYS_set_robust_list, previous_, previous_len_);
}

Result<void> RobustList::arm(RobustNode& node) {
  if (armed_ >= kLocksMax)
    return fail(Error::unsupported(fmt::format("more than {} processes taken over at once", kLocksMax)));
  auto* lock = reinterpret_cast<std::uint32_t*>(reinterpret_cast<std::byte*>(&node) + kDistance);
  __atomic_store_n(lock, static_cast<std::uint32_t>(::gettid()) | FUTEX_WAITERS, __ATOMIC_RELEASE);
  node.link.next = head_.list.next;
  // The kernel may walk the list at any instruction: link only what is complete.
  __atomic_store_n(&head_.list.next, &node.link, __ATOMIC_RELEASE);
  ++armed_;
  return {};
}

void RobustList::disarm(RobustNode& node) {
  for (robust_list* at = &head_.list; at->next != &head_.list; at = at->next) {
    if (at->next != &node.link) continue;
    __atomic_store_n(&at->next, node.link.next, __ATOMIC_RELEASE);
    --armed_;
    return;
  }
}

}  // namespace bpfckpt::target
