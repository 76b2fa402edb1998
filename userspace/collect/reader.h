// SPDX-License-Identifier: Apache-2.0
// One pass of an iterator: link, iterator, reading to the end.
#pragma once

#include <sys/types.h>

#include <functional>

#include "base/fd.h"
#include "base/result.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// Which tasks an iterator visits. A link's filter is fixed when it is made.
struct Scope {
  enum Kind { Everything, Process, Thread } kind = Everything;
  pid_t pid = 0;

  static Scope everything() { return {}; }
  static Scope process(pid_t tgid) { return {Process, tgid}; }
  // Kernels up to 6.12 take only leaders ("bpf: Fix iter/task tid filtering"): no record comes of other
  // threads.
  static Scope thread(pid_t tid) { return {Thread, tid}; }
};

Result<Fd> make_link(int program, Scope scope);

// Appends everything that one pass over `link` gives. Reads again from the start where the programs had no
// room to build a record in (RECORD_LOST).
Result<void> read_all(int link, Records& records);

// The same, where nothing is kept but what `visit` keeps of a record: it is called for each while the record
// is warm. `again` is called before the pass is read once more from the start.
Result<void> visit_all(int link, const std::function<Result<void>(const record_head&)>& visit,
                       const std::function<void()>& again);

}  // namespace bpfckpt::collect
