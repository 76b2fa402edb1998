// SPDX-License-Identifier: Apache-2.0
// A restore, as data: what is to be done, by whom, in what order.
//
// The plan is a list of phases; a phase is a list of operations. Each operation is performed by bpfckpt
// itself or by one thread of the tree that is being made, and refers to earlier operations by number ("the fd
// that #12 makes"). In an ordered phase operations run one after the other; in any other phase bpfckpt's own
// come first (but for FillPages), then all threads run theirs in parallel, each in its own order. A phase is
// over before the next begins.
//
// Nothing here touches the system: a plan can be printed (`bpfckpt restore --plan`), compared and tested
// without privileges. restore/executor.cc lowers it to system calls and parasite batches.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace bpfckpt {

// Who performs an operation: 0 is bpfckpt, else the thread with that tid (a leader's tid is its pid).
using Actor = std::uint32_t;
inline constexpr Actor kSelf = 0;

using OpId = std::uint32_t;    // an operation's number in its plan
using DataId = std::uint32_t;  // a data block's number in its plan

struct Operand {
  enum class Type : std::uint8_t {
    Value,   // `value`
    Result,  // what operation `index` returned, plus `value`
    Data,    // address of data block `index`, plus `value`
    Field,   // the 32-bit integer that a system call left at offset `value` of data block `index`
    Wide,    // the same with 64 bits; not for fixups
  };
  Type type = Type::Value;
  std::uint32_t index = 0;
  std::uint64_t value = 0;

  Operand() = default;
  template <class T>
    requires std::integral<T> || std::is_enum_v<T>
  Operand(T v) : value(static_cast<std::uint64_t>(v)) {}  // implicit: most operands are plain numbers

  static Operand result(OpId op, std::int64_t addend = 0) {
    return make(Type::Result, op, static_cast<std::uint64_t>(addend));
  }
  static Operand data(DataId id, std::uint64_t offset = 0) { return make(Type::Data, id, offset); }
  static Operand field(DataId id, std::uint64_t offset = 0) { return make(Type::Field, id, offset); }
  static Operand wide(DataId id, std::uint64_t offset = 0) { return make(Type::Wide, id, offset); }

 private:
  static Operand make(Type type, std::uint32_t index, std::uint64_t value) {
    Operand o;
    o.type = type;
    o.index = index;
    o.value = value;
    return o;
  }
};

// A place inside of a data block that holds an operand's value: `width` bytes (4 or 8) at `offset`.
struct Fixup {
  std::uint32_t offset = 0;
  std::uint32_t width = 8;
  Operand operand;
};

// Bytes that a system call reads or fills. They belong to the actor whose operation names them.
struct DataBlock {
  std::vector<std::byte> bytes;
  std::vector<Fixup> fixups;
};

struct Op {
  enum class Code : std::uint8_t {
    Call,       // system call `number`
    Add,        // the actor adds args[1] to the 32-bit word at args[0], whose new value is the result
    Repeat,     // the actor performs its next args[0] operations args[1] times in turn
    Fork,       // the actor makes process args[0] with clone flags args[1]
    Thread,     // the actor makes thread args[0]
    Pull,       // the actor gets a duplicate of bpfckpt's descriptor args[0]; the result is its number there
    Fetch,      // bpfckpt gets a duplicate of descriptor args[1] of process args[0]
    OpenImage,  // bpfckpt opens the image file whose name is in data block args[0]
    Reopen,     // bpfckpt opens what its descriptor args[0] leads to again, with flags args[1]
    OpenMapping,  // bpfckpt opens the file behind its own mapping of args[1] bytes at args[0]
    // bpfckpt opens a pidfd, with the flags args[1], of a process that ended with the wait4(2) status args[0]
    DeadProcess,
    // bpfckpt takes thread args[0] under ptrace, so that no seccomp filter stops what is still to be done
    Unfilter,
    // bpfckpt copies what its descriptor args[1] has from byte args[4] on into memory of process args[0]:
    // into the args[3] pieces (struct iovec) of data block args[2]; by its own duplicate args[5] of the
    // process's userfaultfd, if there is one. It does so while the others of the phase are at work, by all
    // processors.
    FillPages,
    // bpfckpt puts the Internet checksum (RFC 1071) of args[1] bytes at args[0] into the two bytes at args[2]
    // of the same data block: of packets whose ports are not known before. What is there before counts as
    // well: the sum of what the checksum covers besides, or zero.
    Checksum,
    ExitThread,  // the actor, a leader, ends with the exit status args[0]; the process goes on
    Exit,        // the actor ends: with the wait4(2) status args[0]; nothing of it may come after
  };
  Code code = Code::Call;
  bool may_fail = false;  // a failure is no error: nobody depends on the result
  std::uint8_t arg_count = 0;
  std::int32_t number = 0;
  Actor actor = kSelf;
  std::array<Operand, 6> args;
  const char* note = "";              // a literal: why, for people
  std::uint32_t subject = 0;          // the fd or file id that the note speaks of; 0: none
  std::uint64_t expect = UINT64_MAX;  // the result that alone is success; UINT64_MAX: any that is no error
};

struct Phase {
  std::string name;
  bool ordered = false;
  OpId first = 0;  // operations [first, end)
  OpId end = 0;
};

struct Plan {
  std::vector<Phase> phases;
  std::vector<Op> ops;
  std::vector<DataBlock> data;

  Actor root = 0;
  // Threads in the order of their slots: the root's leader first.
  struct Slot {
    Actor tid = 0;
    Actor pid = 0;                 // of its process
    std::uint32_t data_bytes = 0;  // the most that one of its operations needs
  };
  std::vector<Slot> slots;
  // The descriptor number by which every process reaches bpfckpt; free in every process of the tree.
  int channel_fd = -1;
  // [arena_base, arena_end): free in every process of the tree; the control area lies there, and behind it
  // the special mappings (vDSO and its data pages) wait for their place.
  std::uint64_t arena_base = 0;
  std::uint64_t arena_end = 0;
  std::uint64_t staging_base = 0;
  bool keeps_staging =
      false;  // this kernel's vDSO stays where it waits: another kernel's calls are led to it
  // A data block of two 64-bit words, into which the executor puts what the control area leaves free below
  // staging_base: address and length. (Wide operands read them.)
  std::optional<DataId> free_arena;
  // What outlives bpfckpt and its processes if it is not undone: where operation `made` succeeded and the
  // restore fails, bpfckpt performs `op` when all processes are gone, unless the plan itself has made the
  // same call meanwhile; what was made last goes first.
  struct Undo {
    OpId made = 0;
    Op op;
  };
  std::vector<Undo> undo;
};

// One line an operation, phases as headings.
std::string to_text(const Plan& plan);
// One operation, as to_text() prints it.
std::string to_text(const Plan& plan, OpId op);

}  // namespace bpfckpt
