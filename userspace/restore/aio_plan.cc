// SPDX-License-Identifier: Apache-2.0
// How AIO rings are made again.
//
// io_setup(2) maps a new ring wherever there is room; mremap(2) moves it to where it was, and its context's
// id, which is its address, moves along (fs/aio.c:aio_ring_mremap()). Head, tail and events lie in the ring,
// but the kernel trusts its own copy of the tail, and counts events and free slots besides: to write into the
// ring is not enough. Requests are made instead, as many as it takes: reads of /dev/null, which are complete
// when io_submit(2) returns. The events that should have been taken are taken; over the others the saved ones
// are written. The kernel's books are then what they are after so many requests.
//
// Not kept: the index of the context in the kernel's table (aio_ring.id).
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <vector>

#include "model/vm_flags.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kHeaderBytes = 32;      // fs/aio.c: struct aio_ring
constexpr std::uint32_t kAtOnce = 128;          // requests a call
constexpr std::uint32_t kAffinityBytes = 1024;  // 8192 cpus
constexpr std::uint32_t kMostSlots =
    1 << 24;  // io_setup(2): less than 0x10000000 bytes of events, in both senses

// What ioctx_alloc() and aio_setup_ring() make of io_setup(2)'s argument.
std::uint64_t ring_bytes(std::uint64_t max_requests, std::uint32_t cpus) {
  std::uint64_t events = std::max<std::uint64_t>(max_requests, std::uint64_t{cpus} * 4) * 2 + 2;
  return (kHeaderBytes + events * sizeof(io_event) + kPage - 1) / kPage * kPage;
}

bool is_ring_mapping(const ModelIndex& index, const pb::Vma& vma) {
  const pb::File* file = index.file(vma.file_id());
  return file != nullptr && file->kind() == "aio";
}

bool is_mapping_of(const pb::Vma& vma, const pb::AioRing& ring) {
  return vma.start() == ring.address() && vma.end() - vma.start() == ring.size_bytes();
}

Result<void> check(const pb::AioRing& ring, const pb::AddressSpace& mm, const ModelIndex& index) {
  auto bad = [](const char* what) { return fail(Error::bad_image(what)); };
  if (ring.slots() == 0 || ring.slots() > kMostSlots || ring.max_requests() == 0 ||
      ring.size_bytes() % kPage != 0 || (ring.size_bytes() - kHeaderBytes) / sizeof(io_event) != ring.slots())
    return bad("bad size");
  if (ring.head() >= ring.slots() || ring.tail() >= ring.slots())
    return bad("head or tail are outside of it");
  if (ring.events().size() != (ring.tail() + ring.slots() - ring.head()) % ring.slots() * sizeof(io_event))
    return bad("its events are not those between head and tail");
  bool mapped = std::ranges::any_of(
      mm.vmas(), [&](const pb::Vma& vma) { return is_mapping_of(vma, ring) && is_ring_mapping(index, vma); });
  return mapped ? Result<void>{} : bad("no mapping of that size is there");
}

// The argument that gives a ring of that size here: with more cpus than the argument, their number decides.
Result<std::uint32_t> argument_for(const pb::AioRing& ring, std::uint32_t cpus) {
  if (ring_bytes(ring.max_requests(), cpus) == ring.size_bytes()) return ring.max_requests();
  const std::uint32_t largest = (ring.slots() - 2) / 2;
  if (ring_bytes(largest, cpus) == ring.size_bytes()) return largest;
  return fail(Error::conflict(
      fmt::format("a ring of {} bytes cannot be had with {} possible cpus, which make it larger",
                  ring.size_bytes(), cpus)));
}

class RingPlanner {
 public:
  RingPlanner(PlanBuilder& plan, Actor pid, const pb::AioRing& ring) : plan_(plan), pid_(pid), ring_(ring) {}

  Result<void> run() {
    TRY_ASSIGN(std::uint32_t argument, argument_for(ring_, plan_.environment().possible_cpus()));
    DataId context = plan_.zeroes(8);
    plan_.call(pid_, SYS_io_setup, {argument, Operand::data(context)}, "AIO ring");
    const std::uint64_t len = ring_.size_bytes();
    plan_.call_expecting(pid_, ring_.address(), SYS_mremap,
                         {Operand::wide(context), len, len, MREMAP_MAYMOVE | MREMAP_FIXED, ring_.address()},
                         "to its place");
    if (ring_.tail() == ring_.head() && ring_.tail() == 0) return {};
    make_request();
    // A cpu keeps free slots for itself (get_reqs_available()). All are had from one cpu if the others never
    // took any; on whichever, as many as the ring was asked for.
    DataId affinity = plan_.zeroes(kAffinityBytes);
    plan_.call(pid_, SYS_sched_getaffinity, {0, kAffinityBytes, Operand::data(affinity)});
    plan_.try_call(pid_, SYS_sched_setaffinity,
                   {0, sizeof(std::uint64_t), Operand::data(plan_.bytes_of(std::uint64_t{1}))},
                   "one cpu, if it may");
    for (std::uint32_t done = 0; done < ring_.head(); done += at_once(ring_.head() - done)) {
      submit(at_once(ring_.head() - done));
      take(at_once(ring_.head() - done));
    }
    const auto waiting = static_cast<std::uint32_t>(ring_.events().size() / sizeof(io_event));
    for (std::uint32_t done = 0; done < waiting; done += at_once(waiting - done))
      submit(at_once(waiting - done));
    plan_.call(pid_, SYS_sched_setaffinity, {0, kAffinityBytes, Operand::data(affinity)});
    plan_.call(pid_, SYS_close, {null_});
    for (std::uint32_t done = 0; done < waiting;) {
      const std::uint32_t slot = (ring_.head() + done) % ring_.slots();
      const std::uint32_t count = std::min(at_once(waiting - done), ring_.slots() - slot);
      write_events(
          slot, std::string_view(ring_.events()).substr(done * sizeof(io_event), count * sizeof(io_event)));
      done += count;
    }
    return {};
  }

 private:
  std::uint32_t at_once(std::uint32_t count) const {
    return std::min({count, kAtOnce, ring_.max_requests()});
  }

  void make_request() {
    OpId ours = plan_.call(kSelf, SYS_openat,
                           {AT_FDCWD, Operand::data(plan_.text("/dev/null")), O_RDONLY | O_CLOEXEC},
                           "to read nothing");
    plan_.close_later(Operand::result(ours));
    null_ = Operand::result(plan_.op(Op::Code::Pull, pid_, {Operand::result(ours)}));
    iocb request{};
    request.aio_lio_opcode = IOCB_CMD_PREAD;
    DataId block = plan_.bytes_of(request);
    plan_.fix(block, offsetof(iocb, aio_fildes), 4, null_);
    requests_ = plan_.zeroes(kAtOnce * sizeof(std::uint64_t));
    for (std::uint32_t i = 0; i < kAtOnce; i++) plan_.fix(requests_, i * 8, 8, Operand::data(block));
    taken_ = plan_.zeroes(kAtOnce * sizeof(io_event));
  }
  void submit(std::uint32_t count) {
    plan_.call_expecting(pid_, count, SYS_io_submit, {ring_.address(), count, Operand::data(requests_)},
                         "AIO requests");
  }
  void take(std::uint32_t count) {
    plan_.call_expecting(pid_, count, SYS_io_getevents,
                         {ring_.address(), count, count, Operand::data(taken_), 0});
  }
  void write_events(std::uint32_t slot, std::string_view bytes) {
    DataId data = plan_.data(std::as_bytes(std::span(bytes)));
    DataId from = plan_.bytes_of(iovec{nullptr, bytes.size()});
    plan_.fix(from, offsetof(iovec, iov_base), 8, Operand::data(data));
    const std::uint64_t place = ring_.address() + kHeaderBytes + slot * sizeof(io_event);
    DataId to = plan_.bytes_of(iovec{reinterpret_cast<void*>(place), bytes.size()});
    Operand self = Operand::result(plan_.call(pid_, SYS_getpid, {}));
    plan_.call_expecting(pid_, bytes.size(), SYS_process_vm_writev,
                         {self, Operand::data(from), 1, Operand::data(to), 1, 0}, "events that wait");
  }

  PlanBuilder& plan_;
  Actor pid_;
  const pb::AioRing& ring_;
  Operand null_;
  DataId requests_ = 0, taken_ = 0;
};

}  // namespace

Result<void> plan_aio_rings(Planning& planning, const pb::Process& process, const pb::AddressSpace& mm) {
  const ModelIndex& index = planning.plan.index();
  for (const pb::AioRing& ring : mm.aio_rings()) {
    TRY(check(ring, mm, index), "AIO ring {:x}", ring.address());
    TRY(RingPlanner(planning.plan, process.pid(), ring).run(), "AIO ring {:x}", ring.address());
  }
  for (const pb::Vma& vma : mm.vmas())
    if (is_ring_mapping(index, vma) && std::ranges::none_of(mm.aio_rings(), [&](const pb::AioRing& ring) {
          return is_mapping_of(vma, ring);
        }))
      return fail(
          Error::bad_image(fmt::format("mapping {:x}: of an AIO ring that is not there", vma.start())));
  // It comes readable and writable.
  constexpr std::uint64_t kReadWrite = vm::kRead | vm::kWrite, kAccess = kReadWrite | vm::kExec;
  for (const pb::AioRing& ring : mm.aio_rings())
    for (const pb::Vma& vma : mm.vmas())
      if (vma.start() == ring.address() && (vma.flags() & kAccess) != kReadWrite)
        planning.plan.call(
            process.pid(), SYS_mprotect,
            {vma.start(), ring.size_bytes(), vma.flags() & kAccess});  // VM_READ is PROT_READ, and so on
  return {};
}

}  // namespace bpfckpt::restore
