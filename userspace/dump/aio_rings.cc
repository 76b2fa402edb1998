// SPDX-License-Identifier: Apache-2.0
// A ring is a page or more that the kernel and the process share: a header with head and tail, and the
// events. The kernel has the tail for itself (BPF saw it), the head is where user space left it.
#include "dump/aio_rings.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "kinds/io_uring.h"
#include "model/living_thread.h"

namespace bpfckpt::dump {
namespace {

constexpr std::uint64_t kHeaderBytes = 32;  // fs/aio.c: struct aio_ring
constexpr std::uint64_t kHeadOffset = 8;
constexpr std::chrono::microseconds kNap{500};

// Of whom nothing is said before the tree is stopped: requests that come to an end by themselves.
std::string who_is_busy(const Model& model) {
  for (const pb::AddressSpace& mm : model.memory.address_spaces())
    for (const pb::AioRing& ring : mm.aio_rings())
      if (ring.in_flight() > 0)
        return fmt::format("AIO ring {:x}: {} requests are in flight", ring.address(), ring.in_flight());
  return kinds::busy_uring(model);
}

Result<void> read_memory(int mem, std::uint64_t address, void* to, std::size_t len) {
  ssize_t got = ::pread(mem, to, len, static_cast<off_t>(address));
  if (got != static_cast<ssize_t>(len))
    return fail(Error::system("read of the ring", got < 0 ? errno : EFAULT));
  return {};
}

Result<void> take_events(int mem, pb::AioRing& ring) {
  if (ring.slots() == 0 || ring.tail() >= ring.slots() ||
      kHeaderBytes + std::uint64_t{ring.slots()} * sizeof(io_event) > ring.size_bytes())
    return fail(Error::bug("an AIO ring of impossible size"));
  std::uint32_t head = 0;
  TRY(read_memory(mem, ring.address() + kHeadOffset, &head, sizeof head));
  head %= ring.slots();  // user space may write what it likes there (fs/aio.c:aio_read_events_ring())
  ring.set_head(head);
  const std::uint32_t waiting = (ring.tail() + ring.slots() - head) % ring.slots();
  std::string& events = *ring.mutable_events();
  events.resize(waiting * sizeof(io_event));
  const std::uint32_t before_end = std::min(waiting, ring.slots() - head);
  const std::size_t first_len = before_end * sizeof(io_event);
  TRY(read_memory(mem, ring.address() + kHeaderBytes + head * sizeof(io_event), events.data(), first_len));
  TRY(read_memory(mem, ring.address() + kHeaderBytes, events.data() + first_len, events.size() - first_len));
  ring.clear_in_flight();
  return {};
}

}  // namespace

Result<Model> collect_quiet(Collector& collector, const TakenTree& tree, pid_t root,
                            std::chrono::milliseconds patience, collect::LateDetails& late) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    TRY_ASSIGN(collect::Records records, collector.collect(tree.processes()));
    collect::LateDetails waiting;
    TRY_ASSIGN(Model model, to_model(records, root, waiting));
    const std::string busy = who_is_busy(model);
    if (busy.empty()) {
      waiting.keep(std::move(records));
      late = std::move(waiting);
      return model;
    }
    collector.recycle(std::move(records));  // to give the memory back takes time
    if (std::chrono::steady_clock::now() >= end)
      return fail(Error::unsupported(busy + " and do not end; it may be taken at another moment"));
    std::this_thread::sleep_for(kNap);
  }
}

Result<void> take_aio_events(Model& model) {
  std::set<std::uint32_t> done;
  for (const pb::Process& process : model.tasks.processes()) {
    if (process.mm_id() == 0 || !done.insert(process.mm_id()).second) continue;
    for (pb::AddressSpace& mm : *model.memory.mutable_address_spaces()) {
      if (mm.id() != process.mm_id() || mm.aio_rings().empty()) continue;
      Fd mem(::open(fmt::format("/proc/{}/mem", living_thread(process).tid()).c_str(), O_RDONLY | O_CLOEXEC));
      if (!mem) return fail(Error::system(fmt::format("pid {}: open of its memory", process.pid())));
      for (pb::AioRing& ring : *mm.mutable_aio_rings())
        TRY(take_events(mem.get(), ring), "pid {}: AIO ring {:x}", process.pid(), ring.address());
    }
  }
  return {};
}

}  // namespace bpfckpt::dump
