// SPDX-License-Identifier: Apache-2.0
// A batch of system calls for the blob in one slot: built, submitted, waited for, its results read.
//
//   Batch batch(area.slot(0));
//   auto path = batch.put_string("/tmp");
//   if (!path) ...                                        // the slot is full: submit, wait, clear, go on
//   Entry fd = batch.call(SYS_openat, AT_FDCWD, *path, O_RDONLY | O_CLOEXEC);
//   batch.call(SYS_fchdir, fd);                           // the result of an earlier entry as an argument
//   batch.call(SYS_close, fd);
//   TRY(batch.run(watch));                                // submit() and wait()
//
// An entry that fails ends the batch, unless it was marked otherwise; wait() then names it: the call, its
// arguments, the error.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"
#include "target/address.h"
#include "target/area.h"

namespace bpfckpt::target {

// Names an entry of the batch being built.
struct Entry {
  std::uint16_t index = 0;
};
// An argument: the result of an earlier entry of this batch, plus `addend`.
struct Ref {
  Entry entry;
  std::int64_t addend = 0;
};
// An argument: the int that is found at that address when the entry is reached (a descriptor that pipe2()
// stored).
struct IntAt {
  RemoteAddress address;
};

class Arg {
 public:
  template <std::integral T>
  Arg(T value) : value_(static_cast<std::int64_t>(value)) {}
  template <class T>
    requires std::is_enum_v<T>
  Arg(T value) : value_(static_cast<std::int64_t>(value)) {}
  Arg(RemoteAddress address) : value_(static_cast<std::int64_t>(address.value())) {}
  Arg(std::nullptr_t) {}
  Arg(Entry entry) : ref_(entry.index) {}
  Arg(Ref ref) : value_(ref.addend), ref_(ref.entry.index) {}
  Arg(IntAt at) : value_(static_cast<std::int64_t>(at.address.value())), ref_(parasite::kRefInt) {}

  std::int64_t value() const { return value_; }
  std::uint16_t ref() const { return ref_; }

 private:
  std::int64_t value_ = 0;
  std::uint16_t ref_ = parasite::kRefNone;
};

// Tells, while a batch is waited for, whether somebody is still there to finish it.
class Watch {
 public:
  virtual ~Watch() = default;
  // Error::TargetGone if the thread that runs the batch is dead (or stopped where it never should be).
  virtual Result<void> check() = 0;
};

inline constexpr std::chrono::milliseconds kBatchTimeout{60'000};

class Batch {
 public:
  explicit Batch(SlotView slot) : slot_(slot) {}

  // --- Building. Precondition: nothing submitted, or waited for and clear()ed.

  // Appends a call. Precondition: room_for(1) (else an entry is lost and submit() reports Error::Bug).
  template <class... Args>
  Entry call(long nr, Args... args) {
    static_assert(sizeof...(Args) <= 6);
    return append(static_cast<std::int32_t>(nr), {Arg(args)...});
  }
  // clone3() of a process or thread that goes on in the interpreter with the slot `child`. `clone_args` is
  // the address of a struct clone_args with stack 0 (put() one). The result is the pid, in this slot's
  // namespace.
  Entry clone(RemoteAddress clone_args, std::size_t size, const SlotView& child) {
    return append(parasite::kOpClone, {clone_args, size, child.address});
  }
  // Adds to the 32-bit word at that address in the target; the result is its new value.
  Entry add(Arg address, Arg value) { return append(parasite::kOpAdd, {address, value}); }
  // Executes the `entries` entries before it `times` times in all (once they are: at least 1). Results are
  // those of the last time. Precondition: so many entries are there.
  Entry repeat(std::size_t entries, std::uint64_t times) {
    return append(parasite::kOpRepeat, {entries, times});
  }
  // Ends the thread, not its process; must be last. Restore only. wait_exited() is all that can follow.
  void exit_thread(int status);
  // Goes home for good; must be last. Dump only, used by InjectedParasite.
  Entry leave() { return append(parasite::kOpLeave, {}); }

  // Marks on an entry, to be set before submit().
  void ignore(Entry entry);                      // a failure does not end the batch
  void expect(Entry entry, std::int64_t value);  // any other result is a failure
  void complete(Entry entry);                    // pread-like: repeat until args[2] bytes; less is a failure
  void own_result(Entry entry);                  // the result is a descriptor to close if bpfckpt dies (dump)
  void own_ints(Entry entry, RemoteAddress pair);  // so are two ints there (-1: none), if the call succeeds
  void disown(Entry entry);                        // a close(): its argument is owned no more

  // Copies bytes into the slot's data; the address in the target, aligned to `align`. nullopt: no room.
  std::optional<RemoteAddress> put(std::span<const std::byte> bytes, std::size_t align = 8);
  template <class T>
    requires std::is_trivially_copyable_v<T> && (!std::is_pointer_v<T>)
  std::optional<RemoteAddress> put(const T& value) {
    return put(std::as_bytes(std::span<const T>(&value, 1)), alignof(T));
  }
  std::optional<RemoteAddress> put_string(std::string_view text);  // zero-terminated
  // Room for the target to write into, zeroed.
  std::optional<RemoteAddress> reserve(std::size_t size, std::size_t align = 8);

  bool room_for(std::size_t entries, std::size_t data_bytes = 0) const {
    return count_ + entries <= slot_.entries.size() && data_used_ + data_bytes <= slot_.data.size();
  }
  bool empty() const { return count_ == 0; }
  std::size_t size() const { return count_; }
  const SlotView& slot() const { return slot_; }

  // --- Running.

  // Hands the batch to the blob and wakes it; does not wait. An empty batch is fine.
  Result<void> submit();
  // Until the batch is finished or an entry failed. `watch` is asked now and then. On an entry's failure:
  // Error::System with its errno, naming the call; results of the entries before it can be read; clear()
  // makes the slot usable again. On any other error the slot is lost.
  Result<void> wait(Watch& watch, std::chrono::milliseconds timeout = kBatchTimeout);
  Result<void> run(Watch& watch, std::chrono::milliseconds timeout = kBatchTimeout) {
    TRY(submit());
    return wait(watch, timeout);
  }
  // wait() without a look at the results, for a Batch object that did not submit it.
  Result<void> wait_done(Watch& watch, std::chrono::milliseconds timeout = kBatchTimeout);
  // Finished? Does not wait, says nothing of failures: wait() is still to be called.
  bool done() const;
  // Until the blob runs in this slot: a fresh child's, before its first batch, or never: submit() may come
  // before.
  Result<void> wait_alive(Watch& watch, std::chrono::milliseconds timeout = kBatchTimeout);
  // After exit_thread(): until the thread is past everything that it could do.
  Result<void> wait_exited(Watch& watch, std::chrono::milliseconds timeout = kBatchTimeout);
  // Empties entries and data for the next batch. Precondition: waited for.
  void clear();

  // --- Results, after wait() and before clear().

  // The raw result of an entry, -errno included.
  std::int64_t result(Entry entry) const { return slot_.entries[entry.index].result; }
  // Index of the entry that failed, after an error of wait(); nullopt if none did.
  std::optional<Entry> failed() const;
  // Bytes at an address that put() or reserve() gave. Precondition: [address, address + size) inside of it.
  std::span<std::byte> data(RemoteAddress address, std::size_t size) const {
    return slot_.data.subspan(address - slot_.data_address, size);
  }
  template <class T>
  T& at(RemoteAddress address) const {
    return *reinterpret_cast<T*>(data(address, sizeof(T)).data());
  }
  // "openat(-100, 0x7f..., 0)", as executed.
  std::string describe(Entry entry) const;

 private:
  Entry append(std::int32_t nr, std::initializer_list<Arg> args);
  Result<void> wait_for(const std::uint32_t& word, std::uint32_t value, Watch& watch,
                        std::chrono::milliseconds timeout);

  SlotView slot_;
  std::uint32_t count_ = 0;
  std::size_t data_used_ = 0;
  bool overflow_ = false;
  bool submitted_ = false;
};

}  // namespace bpfckpt::target
