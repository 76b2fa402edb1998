// SPDX-License-Identifier: Apache-2.0
// The control area: memory that bpfckpt and the code inside a target share, and the whole of what they say.
//
// An area is code, a header and slots:
//
//   base                  the blob (parasite/blob.cc), read and execute
//   base + kCodeBytes     Header                        \  read and write,
//   base + kSlotsOffset   Slot, its entries, its data,   > never execute
//                         its stack; the next slot; ... /
//
// Each thread that runs the blob has a slot of its own. bpfckpt writes entries (system calls) into the slot,
// raises `command` and wakes it; the blob executes the entries, writes the results, sets `done` to `command`
// and wakes bpfckpt. The blob knows nothing of what the calls mean.
//
// Included by the freestanding blob and by userspace/: no library, only fixed-width types.
#pragma once

#include <stdint.h>

namespace bpfckpt::parasite {

inline constexpr uint32_t kCodeBytes = 4096;
inline constexpr uint32_t kHeaderBytes = 4096;
inline constexpr uint32_t kSlotsOffset = kCodeBytes + kHeaderBytes;
// At base + kMagicOffset: tells the code of an area from any other, whoever placed it.
inline constexpr uint64_t kMagic = 0x31306b6366706221;
inline constexpr uint32_t kMagicOffset = 8;

// What the blob does when it sees that bpfckpt died.
enum Mode : uint32_t {
  kModeDump = 1,  // close owned descriptors, unmap the area, go home: the target goes on
  kModeDumpBare =
      2,             // go home by sigreturn and nothing else: the target's seccomp filter may forbid the rest
  kModeRestore = 3,  // exit_group: a half-made process must not stay
};

struct Header {
  // Robust futex: bpfckpt's tracing thread owns it, with FUTEX_WAITERS set. When that thread dies, however it
  // dies, the kernel sets FUTEX_OWNER_DIED and wakes a waiter (kernel/futex/core.c:handle_futex_death()).
  uint32_t lock;
  uint32_t mode;  // Mode
  uint64_t base;  // of the area in the target
  uint64_t len_bytes;
  uint64_t gate_call;  // entries of the gate (x86_64/gate.S) in the target; dump only
  uint64_t gate_home;
  uint64_t gate_spins;  // where a slot's scratch is 0
  uint64_t vdso;        // AT_SYSINFO_EHDR of the process that the stub was started in; restore only
};
static_assert(sizeof(Header) == 56);

inline constexpr uint32_t kOwnedMax = 16;

struct Slot {
  uint32_t command;   // bpfckpt adds 1: a batch is ready
  uint32_t done;      // the blob copies `command` here: the batch is finished
  uint32_t alive;     // 1 from the blob's first moment in this slot
  uint32_t tid;       // in the target's own pid namespace
  uint32_t count;     // entries in the batch
  uint32_t executed;  // entries that were executed; the last of them failed if `failed`
  uint32_t failed;
  uint32_t owned_count;
  int32_t owned[kOwnedMax];  // descriptors to close if bpfckpt dies
  uint64_t header;           // addresses in the target
  uint64_t stack_top;
  uint64_t frame;    // rt_sigframe, the way home; dump only
  uint64_t scratch;  // GateScratch; 0: the gate must spin instead of sleeping; dump only
};
static_assert(sizeof(Slot) == 128);

// Below the target's stack, beside the frame: what the gate's rt_sigtimedwait() reads.
struct GateScratch {
  uint64_t no_signals;
  int64_t wait_s;
  int64_t wait_ns;
};
static_assert(sizeof(GateScratch) == 24);

// How long a thread waits in the gate for bpfckpt before it goes home, unless it is told otherwise: long
// enough for most machines to get to the PTRACE_INTERRUPT that follows at once, short enough to be little
// harm to a target whose master died just there.
inline constexpr int64_t kGateWaitS = 1;

// Entry::nr below zero.
enum Operation : int32_t {
  // args: struct clone_args, its size, the child's Slot. The child or thread goes on in the interpreter with
  // that
  // slot; the result is the parent's.
  kOpClone = -1,
  // Sets `done`, then unmaps the area through the gate and stays there until it is stopped by ptrace. Dump
  // only.
  kOpLeave = -2,
  // (address, value): adds to the 32-bit word there, whose new value is the result. Rings that are shared
  // with
  // the kernel are turned by such words and calls in turn.
  kOpAdd = -3,
  // (n, times): the n entries before this one are executed `times` times in all; the result counts them.
  kOpRepeat = -4,
};

enum EntryFlag : uint16_t {
  kIgnore = 1,  // a failure does not end the batch
  kExpect = 2,  // anything but `operand` is a failure; else an error number is
  kComplete =
      4,  // (fd, buffer, length, offset): repeat until `length` bytes are transferred; less is a failure
  kOwnResult = 8,  // the result is a descriptor to close if bpfckpt dies
  kOwnInts = 16,   // so are the two ints at address `operand` (-1: none)
  kDisown = 32,    // argument 0 is a descriptor that is owned no more
};

// Entry::ref: where argument k comes from.
inline constexpr uint16_t kRefNone = 0xffff;  // args[k] itself
inline constexpr uint16_t kRefInt = 0xfffe;   // the int at address args[k]
                                              // else: args[k] + the result of that entry of the same batch
inline constexpr uint32_t kEntriesMax = 0xfff0;

struct Entry {
  int32_t nr;
  uint16_t flags;
  uint16_t ref[6];
  uint16_t reserved[3];
  int64_t args[6];
  int64_t operand;  // of kExpect or kOwnInts
  int64_t result;
};
static_assert(sizeof(Entry) == 88);

inline constexpr bool is_error(int64_t result) {
  return result < 0 && result > -4096;
}

}  // namespace bpfckpt::parasite
