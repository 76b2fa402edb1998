// SPDX-License-Identifier: Apache-2.0
#include "collect/builder.h"

#include "bpf/kinds/unix_queue.h"
#include "collect/collector.h"

namespace bpfckpt {
namespace collect {

Result<void> Builder::sort_in(const record_head& head) {
  switch (head.type) {
    case RECORD_TASK:
      if (auto task = as<task_record>(head)) groups_[task->tgid].threads.push_back(task);
      return {};
    case RECORD_PROCESS:
      if (auto process = as<process_record>(head)) groups_[process->tgid].process = process;
      return {};
    case RECORD_SIGHAND:
      if (auto sighand = as<sighand_record>(head)) groups_[sighand->tgid].sighand = sighand;
      return {};
    case RECORD_TIMER:
      if (auto timer = as<timer_record>(head)) groups_[timer->tgid].timers.push_back(timer);
      return {};
    case RECORD_MM:
      if (auto mm = as<mm_record>(head)) add_address_space(*mm);
      return {};
    case RECORD_FS:
      if (auto fs = as<fs_record>(head)) add_fs_context(*fs);
      return {};
    case RECORD_CRED:
      if (auto cred = as<cred_record>(head)) add_credentials(*cred);
      return {};
    case RECORD_VMA:
      if (auto vma = as<vma_record>(head)) return add_vma(*vma);
      return {};
    case RECORD_AIO_RING:
      if (auto ring = as<aio_ring_record>(head)) add_aio_ring(*ring);
      return {};
    case RECORD_FILE:
      if (auto file = as<file_record>(head)) return add_file_record(*file);
      return {};
    case RECORD_EPOLL_ITEM:
    case RECORD_MARK:
    case RECORD_URING_ITEM:
    case RECORD_MQUEUE_ITEM:
      if (auto item = as<item_head>(head))
        if (auto list = lists_.find(item->list); list != lists_.end()) list->second.items.push_back(&head);
      return {};
    case RECORD_UNIX_ITEM:
    case RECORD_INET_ITEM:
      add_socket_item(head);
      return {};
    case RECORD_LOCK:
      if (auto lock = as<lock_record>(head)) locks_.push_back(lock);
      return {};
    default:
      return fail(Error::bug(fmt::format("collect: a record of unknown type {}", head.type)));
  }
}

// A connection that waits to be accepted has a list of its own, which belongs to the file that listens.
void Builder::add_socket_item(const record_head& head) {
  auto item = as<item_head>(head);
  if (item == nullptr) return;
  auto listener = listeners_.find(item->list);
  auto list = lists_.find(listener != listeners_.end() ? listener->second : item->list);
  if (list == lists_.end()) return;
  // What came with a descriptor came with each other one of the same socket, too.
  auto message = head.type == RECORD_UNIX_ITEM ? as<unix_message_record>(head) : nullptr;
  if (message != nullptr && message->what == UNIX_ITEM_MESSAGE) {
    const bool near = (message->flags & UNIX_MESSAGE_NEAR) != 0;
    if (near && item->list != fresh_list_) return;
    // Somebody outside sent more before the next descriptor of it was read, and the list was walked: in
    // whole.
    if (near)
      list->second.near = true;
    else if (std::exchange(list->second.near, false))
      std::erase_if(list->second.items, [](const record_head* it) {
        auto earlier = it->type == RECORD_UNIX_ITEM ? as<unix_message_record>(*it) : nullptr;
        return earlier != nullptr && earlier->what == UNIX_ITEM_MESSAGE &&
               (earlier->flags & UNIX_MESSAGE_NEAR) != 0;
      });
  }
  list->second.items.push_back(&head);
  auto pending = head.type == RECORD_UNIX_ITEM ? as<unix_pending_record>(head) : nullptr;
  if (pending != nullptr && pending->what == UNIX_ITEM_PENDING) listeners_.emplace(pending->sock, item->list);
}

Result<Model> Builder::build() {
  TRY(records_.for_each([this](const record_head& head) { return sort_in(head); }));
  TRY(add_processes());
  TRY(add_lists());
  TRY(settle_userfaultfds());
  TRY(settle_urings());
  add_locks();
  for (const kinds::Kind* kind : kinds::all())
    if (kind->settle != nullptr && kinds_.contains(kind) && !waits(*kind))
      TRY(kind->settle(model_), "{}", kind->name);
  return std::move(model_);
}

std::int64_t Builder::remaining_ns(clockid_t clock, std::uint64_t expires_ns) const {
  const auto now_ns = records_.clock_ns(clock);
  if (!now_ns) return -1;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(expires_ns) - *now_ns);
}

}  // namespace collect

Result<Model> to_model(const collect::Records& records, pid_t root, Model spare) {
  return collect::Builder(records, static_cast<std::uint32_t>(root), nullptr, std::move(spare)).build();
}

Result<Model> to_model(const collect::Records& records, pid_t root, collect::LateDetails& late) {
  return collect::Builder(records, static_cast<std::uint32_t>(root), &late).build();
}

}  // namespace bpfckpt
