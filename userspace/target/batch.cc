// SPDX-License-Identifier: Apache-2.0
#include "target/batch.h"

#include <algorithm>
#include <cstring>

#include "base/syscall_name.h"
#include "target/futex.h"

namespace bpfckpt::target {
namespace {

// When a waiting bpfckpt asks whether the target still lives: soon, then ever more seldom.
constexpr std::chrono::milliseconds kCheckFirst{2};
constexpr std::chrono::milliseconds kCheckEvery{100};

std::uint32_t load(const std::uint32_t& word) {
  return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}

}  // namespace

Entry Batch::append(std::int32_t nr, std::initializer_list<Arg> args) {
  if (count_ >= slot_.entries.size()) {
    overflow_ = true;
    return {};
  }
  parasite::Entry entry{};
  entry.nr = nr;
  std::ranges::fill(entry.ref, parasite::kRefNone);
  std::size_t k = 0;
  for (const Arg& arg : args) {
    // Only a result that is there can be referred to; the two special values are above any index.
    if (arg.ref() < parasite::kEntriesMax && arg.ref() >= count_) overflow_ = true;
    entry.args[k] = arg.value();
    entry.ref[k++] = arg.ref();
  }
  slot_.entries[count_] = entry;
  return Entry{static_cast<std::uint16_t>(count_++)};
}

void Batch::ignore(Entry entry) {
  slot_.entries[entry.index].flags |= parasite::kIgnore;
}

void Batch::expect(Entry entry, std::int64_t value) {
  slot_.entries[entry.index].flags |= parasite::kExpect;
  slot_.entries[entry.index].operand = value;
}

void Batch::complete(Entry entry) {
  slot_.entries[entry.index].flags |= parasite::kComplete;
}

void Batch::own_result(Entry entry) {
  slot_.entries[entry.index].flags |= parasite::kOwnResult;
}

void Batch::own_ints(Entry entry, RemoteAddress pair) {
  slot_.entries[entry.index].flags |= parasite::kOwnInts;
  slot_.entries[entry.index].operand = static_cast<std::int64_t>(pair.value());
}

void Batch::disown(Entry entry) {
  slot_.entries[entry.index].flags |= parasite::kDisown;
}

std::optional<RemoteAddress> Batch::reserve(std::size_t size, std::size_t align) {
  const std::uint64_t start = (slot_.data_address.value() + data_used_ + align - 1) / align * align;
  const std::size_t offset = start - slot_.data_address.value();
  if (offset > slot_.data.size() || size > slot_.data.size() - offset) return std::nullopt;
  data_used_ = offset + size;
  std::memset(slot_.data.data() + offset, 0, size);
  return RemoteAddress(start);
}

std::optional<RemoteAddress> Batch::put(std::span<const std::byte> bytes, std::size_t align) {
  auto address = reserve(bytes.size(), align);
  if (address && !bytes.empty()) std::memcpy(data(*address, bytes.size()).data(), bytes.data(), bytes.size());
  return address;
}

std::optional<RemoteAddress> Batch::put_string(std::string_view text) {
  auto address = reserve(text.size() + 1, 1);
  if (address) std::memcpy(data(*address, text.size()).data(), text.data(), text.size());
  return address;
}

Result<void> Batch::submit() {
  if (overflow_)
    return fail(Error::bug("a batch of more entries than its slot holds, or a reference forward"));
  if (submitted_) return fail(Error::bug("a batch submitted twice"));
  submitted_ = true;
  slot_.slot->count = count_;
  __atomic_add_fetch(&slot_.slot->command, 1, __ATOMIC_RELEASE);
  futex_wake(slot_.slot->command);
  return {};
}

bool Batch::done() const {
  return load(slot_.slot->done) == slot_.slot->command;
}

Result<void> Batch::wait_for(const std::uint32_t& word, std::uint32_t value, Watch& watch,
                             std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto slice = kCheckFirst;
  for (std::uint32_t now = load(word); now != value; now = load(word)) {
    futex_wait(word, now, slice);
    slice = std::min(slice * 2, kCheckEvery);
    if (load(word) == value) break;
    if (auto alive = watch.check(); !alive) {
      std::string where;
      if (submitted_ && slot_.slot->executed != 0 && slot_.slot->executed <= count_)
        where = describe({static_cast<std::uint16_t>(slot_.slot->executed - 1)});
      return fail(std::move(alive.error()).in(where.empty() ? "before the first call" : "in " + where));
    }
    if (std::chrono::steady_clock::now() > deadline)
      return fail(
          Error::system(fmt::format("batch of {} calls, {} begun", count_, slot_.slot->executed), ETIMEDOUT));
  }
  return {};
}

Result<void> Batch::wait_alive(Watch& watch, std::chrono::milliseconds timeout) {
  return wait_for(slot_.slot->alive, 1, watch, timeout);
}

// The kernel clears the word on the way out (kernel/fork.c:mm_release()), if somebody else still has the
// memory.
void Batch::exit_thread(int status) {
  call(SYS_set_tid_address, slot_.address + offsetof(parasite::Slot, alive));
  call(SYS_exit, status);
}

Result<void> Batch::wait_exited(Watch& watch, std::chrono::milliseconds timeout) {
  return wait_for(slot_.slot->alive, 0, watch, timeout);
}

Result<void> Batch::wait_done(Watch& watch, std::chrono::milliseconds timeout) {
  if (!submitted_) {
    // Submitted by another Batch object over this slot.
    submitted_ = true;
    count_ = std::min<std::uint32_t>(slot_.slot->count, static_cast<std::uint32_t>(slot_.entries.size()));
  }
  return wait_for(slot_.slot->done, slot_.slot->command, watch, timeout);
}

Result<void> Batch::wait(Watch& watch, std::chrono::milliseconds timeout) {
  TRY(wait_done(watch, timeout));
  const auto entry = failed();
  if (!entry) return {};
  const std::int64_t value = result(*entry);
  if (parasite::is_error(value)) return fail(Error::system(describe(*entry), static_cast<int>(-value)));
  const parasite::Entry& raw = slot_.entries[entry->index];
  if ((raw.flags & parasite::kComplete) != 0)
    return fail(Error::system(fmt::format("{}: ends after {} bytes", describe(*entry), value), EIO));
  return fail(Error::system(fmt::format("{} = {}, not {}", describe(*entry), value, raw.operand), EINVAL));
}

void Batch::clear() {
  count_ = 0;
  data_used_ = 0;
  overflow_ = false;
  submitted_ = false;
}

std::optional<Entry> Batch::failed() const {
  // The counters lie in memory that the target can write.
  const std::uint32_t executed = slot_.slot->executed;
  if (slot_.slot->failed == 0 || executed == 0 || executed > count_) return std::nullopt;
  return Entry{static_cast<std::uint16_t>(executed - 1)};
}

static std::string entry_name(std::int32_t number) {
  if (number == parasite::kOpClone) return "clone3";
  if (number == parasite::kOpLeave) return "leave";
  if (number == parasite::kOpAdd) return "add";
  if (number == parasite::kOpRepeat) return "repeat";
  return syscall_name(number);
}

std::string Batch::describe(Entry entry) const {
  const parasite::Entry& raw = slot_.entries[entry.index];
  std::string text = entry_name(raw.nr) + "(";
  for (int k = 0; k < 6; ++k) {
    std::int64_t value = raw.args[k];
    if (raw.ref[k] < count_) value += slot_.entries[raw.ref[k]].result;
    if (k != 0) text += ", ";
    text += value > -4096 && value < 65536 ? fmt::format("{}", value) : fmt::format("{:#x}", value);
  }
  return text + ")";
}

}  // namespace bpfckpt::target
