// SPDX-License-Identifier: Apache-2.0
// The only code of ours that runs inside a target: an interpreter of system-call batches, for dump and
// restore.
//
// It holds no state but its slot, uses no stack below its own frames, calls nothing, touches no extended
// register
// (-mgeneral-regs-only) and needs no relocation, so that it can be mapped anywhere, over anything.
//
// It waits on two words at once, futex_waitv(2): `command` of its slot, and the area's robust lock, which
// tells that bpfckpt died. No timeout: none is needed, and a futex wait with one would overwrite the thread's
// restart_block.
#include "arch.h"
#include "parasite/protocol.h"

namespace bpfckpt::parasite {
namespace {

// blob_start.S loads the stack pointer from there.
static_assert(__builtin_offsetof(Slot, stack_top) == 104);

constexpr uint32_t kFutexOwnerDied = 0x40000000;  // include/uapi/linux/futex.h
constexpr int64_t kFutexWake = 1;
constexpr int64_t kEveryone = 0x7fffffff;

struct FutexWaiter {  // struct futex_waitv
  uint64_t value;
  uint64_t address;
  uint32_t flags;
  uint32_t reserved;
};
constexpr uint32_t kFutex32Bit = 2;

uint32_t load(const uint32_t& word) {
  return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}

void store_and_wake(uint32_t& word, uint32_t value) {
  __atomic_store_n(&word, value, __ATOMIC_RELEASE);
  system_call(kSysFutex, reinterpret_cast<int64_t>(&word), kFutexWake, kEveryone);
}

bool master_died(const Header& header) {
  return (load(header.lock) & kFutexOwnerDied) != 0;
}

void own(Slot& slot, int64_t fd) {
  if (fd < 0 || slot.owned_count >= kOwnedMax) return;
  slot.owned[slot.owned_count++] = static_cast<int32_t>(fd);
}

void disown(Slot& slot, int64_t fd) {
  for (uint32_t i = 0; i < slot.owned_count; ++i)
    if (slot.owned[i] == fd) slot.owned[i] = -1;
}

Entry* entries_of(Slot& slot) {
  return reinterpret_cast<Entry*>(&slot + 1);
}

int64_t argument(Slot& slot, const Entry& entry, int k) {
  const uint16_t ref = entry.ref[k];
  if (ref == kRefNone) return entry.args[k];
  if (ref == kRefInt) return *reinterpret_cast<const int32_t*>(entry.args[k]);
  return entry.args[k] + entries_of(slot)[ref].result;
}

// pread(2) and its like may stop half-way; goes on until nothing is left, nothing comes any more, or an
// error.
int64_t transfer(int64_t nr, const int64_t* args) {
  int64_t total = 0;
  while (total < args[2]) {
    const int64_t moved =
        system_call(nr, args[0], args[1] + total, args[2] - total, args[3] + total, args[4], args[5]);
    if (is_error(moved)) return moved;
    if (moved == 0) break;
    total += moved;
  }
  return total;
}

// True: the batch goes on.
bool execute(Slot& slot, Entry& entry) {
  int64_t args[6];
  for (int k = 0; k < 6; ++k) args[k] = argument(slot, entry, k);

  if (entry.nr == kOpClone)
    entry.result = clone_into(args[0], args[1], reinterpret_cast<const Slot*>(args[2]));
  else if (entry.nr == kOpAdd)
    entry.result = __atomic_add_fetch(reinterpret_cast<uint32_t*>(args[0]), static_cast<uint32_t>(args[1]),
                                      __ATOMIC_ACQ_REL);
  else if ((entry.flags & kComplete) != 0)
    entry.result = transfer(entry.nr, args);
  else
    entry.result = system_call(entry.nr, args[0], args[1], args[2], args[3], args[4], args[5]);

  const bool error = is_error(entry.result);
  if (!error) {
    if ((entry.flags & kOwnResult) != 0) own(slot, entry.result);
    if ((entry.flags & kOwnInts) != 0) {
      const auto* fds = reinterpret_cast<const int32_t*>(entry.operand);
      own(slot, fds[0]);
      own(slot, fds[1]);
    }
    if ((entry.flags & kDisown) != 0) disown(slot, args[0]);
  }
  if ((entry.flags & kIgnore) != 0) return true;
  if ((entry.flags & kExpect) != 0) return entry.result == entry.operand;
  if ((entry.flags & kComplete) != 0) return entry.result == args[2];
  return !error;
}

void run_batch(const Header& header, Slot& slot, uint32_t command) {
  slot.failed = 0;
  slot.executed = 0;
  Entry* const first = entries_of(slot);
  const Entry* const end = first + slot.count;
  for (Entry* entry = first; entry != end && !master_died(header); ++entry) {
    slot.executed = static_cast<uint32_t>(entry - first) + 1;
    if (entry->nr == kOpLeave) {
      store_and_wake(slot.done, command);
      leave_and_park(header, slot);
    }
    if (entry->nr == kOpRepeat) {
      if (++entry->result < entry->args[1]) entry -= entry->args[0] + 1;
      continue;
    }
    if (!execute(slot, *entry)) {
      slot.failed = 1;
      break;
    }
  }
  store_and_wake(slot.done, command);
}

struct Time {
  int64_t s;
  int64_t ns;
};
constexpr int64_t kMonotonic = 1;
constexpr int64_t kLookAgainS = 1;

// Two words. When bpfckpt dies the kernel wakes one of us, who wakes the others; but in a restore that one
// may be killed before it has, because bpfckpt traced it. So there each looks by itself now and then.
void wait_for_either(const Header& header, const FutexWaiter* words) {
  const auto both = reinterpret_cast<int64_t>(words);
  if (header.mode != kModeRestore) {
    system_call(kSysFutexWaitv, both, 2);
    return;
  }
  Time until;
  system_call(kSysClockGettime, kMonotonic, reinterpret_cast<int64_t>(&until));
  until.s += kLookAgainS;
  system_call(kSysFutexWaitv, both, 2, 0, reinterpret_cast<int64_t>(&until), kMonotonic);
}

[[noreturn]] void abandoned(Header& header, Slot& slot) {
  if (header.mode == kModeDumpBare) go_home(header, slot, 0);
  // The kernel woke one waiter of all that share this area.
  system_call(kSysFutex, reinterpret_cast<int64_t>(&header.lock), kFutexWake, kEveryone);
  if (header.mode == kModeRestore)
    for (;;) system_call(kSysExitGroup, 137);
  for (uint32_t i = 0; i < slot.owned_count; ++i)
    if (slot.owned[i] >= 0) system_call(kSysClose, slot.owned[i]);
  go_home(header, slot, header.len_bytes);
}

}  // namespace

extern "C" [[noreturn, gnu::used]] void bpfckpt_interpret(Slot* slot) {
  auto& header = *reinterpret_cast<Header*>(slot->header);
  slot->tid = static_cast<uint32_t>(system_call(kSysGettid));
  store_and_wake(slot->alive, 1);
  uint32_t seen = slot->done;
  for (;;) {
    const uint32_t lock = load(header.lock);
    if ((lock & kFutexOwnerDied) != 0) abandoned(header, *slot);
    const uint32_t command = load(slot->command);
    if (command != seen) {
      seen = command;
      run_batch(header, *slot, command);
      continue;
    }
    const FutexWaiter words[2] = {
        {command, reinterpret_cast<uint64_t>(&slot->command), kFutex32Bit, 0},
        {lock, reinterpret_cast<uint64_t>(&header.lock), kFutex32Bit, 0},
    };
    wait_for_either(header, words);
  }
}

}  // namespace bpfckpt::parasite
