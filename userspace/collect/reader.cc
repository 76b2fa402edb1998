// SPDX-License-Identifier: Apache-2.0
#include "collect/reader.h"

#include <bpf/bpf.h>
#include <sched.h>

namespace bpfckpt::collect {
namespace {

constexpr int kTries = 1000;

// Calls `took` after each reading, whose records are still in the processor's cache.
template <class Took>
Result<void> read_pass(int link, Records& records, Took&& took) {
  const int raw = ::bpf_iter_create(link);
  if (raw < 0) return fail(Error::system("bpf_iter_create", -raw));
  const Fd iterator(raw);
  for (;;) {
    TRY_ASSIGN(const auto room, records.room());
    const ssize_t got = ::read(iterator.get(), room.data(), room.size());
    if (got == 0) return {};
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail(Error::system("read of a BPF iterator"));
    records.commit(static_cast<std::size_t>(got));
    TRY(took());
  }
}

// Calls `read`, which reads a pass and notes whether a program found no free slot to build a record in, until
// none did; `again` undoes what such a pass left.
template <class Read, class Again>
Result<void> read_whole(Read&& read, Again&& again) {
  for (int i = 0; i < kTries; ++i) {
    bool lost = false;
    TRY(read(lost));
    if (!lost) return {};
    again();
    ::sched_yield();
  }
  return fail(Error::bug("BPF programs found no free slot to build records in"));
}

}  // namespace

Result<Fd> make_link(int program, Scope scope) {
  bpf_iter_link_info info = {};
  if (scope.kind == Scope::Process) info.task.pid = static_cast<__u32>(scope.pid);
  if (scope.kind == Scope::Thread) info.task.tid = static_cast<__u32>(scope.pid);
  LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info, .iter_info_len = sizeof(info));
  const int link =
      ::bpf_link_create(program, 0, BPF_TRACE_ITER, scope.kind == Scope::Everything ? nullptr : &options);
  if (link < 0) return fail(Error::system("bpf_link_create", -link));
  return Fd(link);
}

Result<void> read_all(int link, Records& records) {
  const std::size_t before = records.size_bytes();
  auto read = [&](bool& lost) {
    std::size_t seen = before;
    return read_pass(link, records, [&]() -> Result<void> {
      TRY(records.for_each_from(seen, [&](const record_head& head) -> Result<void> {
        lost |= head.type == RECORD_LOST;
        return {};
      }));
      seen = records.size_bytes();
      return {};
    });
  };
  return read_whole(read, [&] { records.truncate(before); });
}

Result<void> visit_all(int link, const std::function<Result<void>(const record_head&)>& visit,
                       const std::function<void()>& again) {
  Records records;  // of one reading
  TRY(records.prepare(Records::kReadBytes));
  auto read = [&](bool& lost) {
    return read_pass(link, records, [&]() -> Result<void> {
      TRY(records.for_each([&](const record_head& head) -> Result<void> {
        lost |= head.type == RECORD_LOST;
        return lost ? Result<void>() : visit(head);
      }));
      records.clear();
      return {};
    });
  };
  return read_whole(read, again);
}

}  // namespace bpfckpt::collect
