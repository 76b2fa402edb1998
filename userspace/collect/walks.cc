// SPDX-License-Identifier: Apache-2.0
#include "collect/walks.h"

#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "bpf/kinds/unix_queue.h"
#include "collect/reader.h"

namespace bpfckpt::collect {
namespace {

// Of a running tree a list may have become anything, a ring among it.
constexpr std::size_t kMostBytes = std::size_t{256} << 20;
constexpr std::size_t kMostReadings = 1 << 16;  // each fills the iterator's buffer, or comes to an end

constexpr std::pair<std::uint32_t, Program> kWalkers[] = {
    {WALK_EPOLL, Program::WalkEpoll},    {WALK_LOCKS, Program::WalkLocks},  {WALK_MARKS, Program::WalkMarks},
    {WALK_UNIX, Program::WalkUnix},      {WALK_URING, Program::WalkUrings}, {WALK_INET, Program::WalkInet},
    {WALK_MQUEUE, Program::WalkMqueues},
};

// Takes the walk_end_record away that a reading leaves at the end of `records`.
Result<walk_end_record> take_end(Records& records, std::size_t before) {
  std::optional<walk_end_record> end;
  TRY(records.for_each_from(before, [&](const record_head& head) -> Result<void> {
    auto found = head.type == RECORD_WALK_END ? as<walk_end_record>(head) : nullptr;
    if (found != nullptr) end = *found;
    return {};
  }));
  if (!end) return fail(Error::bug("a walk without an end"));
  records.truncate(records.size_bytes() - sizeof(walk_end_record));
  return *end;
}

Result<void> read_lists(int link, int requests, int self, std::span<const std::uint64_t> objects,
                        Records& records) {
  walk_request request{};
  request.count = static_cast<__u32>(objects.size());
  std::ranges::copy(objects, request.objects);
  std::size_t readings = 0;
  for (const std::size_t begin = records.size_bytes(); request.index < request.count;) {
    if (const int err = ::bpf_map_update_elem(requests, &self, &request, BPF_ANY); err != 0)
      return fail(Error::system("leave a request", -err));
    const std::size_t before = records.size_bytes();
    TRY(read_all(link, records));
    TRY_ASSIGN(const walk_end_record end, take_end(records, before));
    request.index = end.index;
    request.node = end.node;
    if (records.size_bytes() - begin > kMostBytes || ++readings > kMostReadings)
      return fail(Error::bug("a list without an end"));
  }
  return {};
}

}  // namespace

Result<int> Walkers::link(Program program) {
  Fd& link = links_[program];
  if (!link) {
    TRY_ASSIGN(link, make_link(programs_.fd(program), Scope::thread(::getpid())));
  }
  return link.get();
}

Result<int> Walkers::self() {
  if (!self_) self_.reset(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self_) return fail(Error::system("pidfd_open"));
  return self_.get();
}

void Walks::add(std::uint32_t kind, std::uint64_t object) {
  if (kind == WALK_NONE || object == 0) return;
  Lists& lists = lists_[kind];
  if (lists.seen.insert(object).second) lists.objects.push_back(object);
}

void Walks::add(const record_head& head) {
  // A connection that nobody has accepted has a queue and no file.
  if (auto item = head.type == RECORD_UNIX_ITEM ? as<unix_pending_record>(head) : nullptr;
      item != nullptr && item->what == UNIX_ITEM_PENDING && item->queued != 0)
    add(WALK_UNIX, item->sock);
  auto file = head.type == RECORD_FILE ? as<file_record>(head) : nullptr;
  if (file == nullptr) return;
  add(file->walk, file->list);
  if ((file->flags & FILE_LOCKED) != 0) add(WALK_LOCKS, file->locks);
}

bool Walks::waiting() const {
  return std::ranges::any_of(lists_, [](const auto& lists) { return !lists.second.objects.empty(); });
}

Result<void> Walks::read(Walkers& walkers, Records& records) {
  for (const auto& [kind, program] : kWalkers) {
    auto lists = lists_.find(kind);
    if (lists == lists_.end() || lists->second.objects.empty()) continue;
    const std::vector<std::uint64_t> wanted = std::exchange(lists->second.objects, {});
    std::span<const std::uint64_t> objects = wanted;
    TRY_ASSIGN(const int self, walkers.self());
    TRY_ASSIGN(const int link, walkers.link(program));
    while (!objects.empty()) {
      auto now = objects.first(std::min<std::size_t>(objects.size(), WALK_OBJECTS));
      TRY(read_lists(link, walkers.requests(), self, now, records));
      objects = objects.subspan(now.size());
    }
  }
  return {};
}

}  // namespace bpfckpt::collect
