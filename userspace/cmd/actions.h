// SPDX-License-Identifier: Apache-2.0
// The names of the actions, as bits, so that an option can say where it makes sense.
#pragma once

#include <cstdint>
#include <string_view>

namespace bpfckpt::cli {

using ActionSet = std::uint32_t;
inline constexpr ActionSet kDump = 1 << 0;
inline constexpr ActionSet kRestore = 1 << 1;
inline constexpr ActionSet kDiagnose = 1 << 2;
inline constexpr ActionSet kShow = 1 << 3;
inline constexpr ActionSet kCore = 1 << 4;
inline constexpr ActionSet kCheck = 1 << 5;
inline constexpr ActionSet kVerify = 1 << 6;
inline constexpr ActionSet kClean = 1 << 7;
inline constexpr ActionSet kReserved = 1 << 8;  // pre-dump and its like
inline constexpr ActionSet kAnyAction = (1 << 9) - 1;

struct ActionRow {
  std::string_view name;
  ActionSet bit;
  std::string_view help;
};

inline constexpr ActionRow kActions[] = {
    {"dump", kDump, "checkpoint the tree rooted at a process"},
    {"restore", kRestore, "bring a checkpointed tree back"},
    {"diagnose", kDiagnose, "tell what a dump would say of a running tree; stops nothing"},
    {"show", kShow, "print a checkpoint for people or programs"},
    {"core", kCore, "write an ELF core of one process of a checkpoint"},
    {"check", kCheck, "tell what this kernel offers"},
    {"verify", kVerify, "check the sums and the structure of a checkpoint"},
    {"clean", kClean, "remove what a killed run may have left"},
    {"pre-dump", kReserved, "reserved"},
    {"lazy-pages", kReserved, "reserved"},
    {"page-server", kReserved, "reserved"},
    {"service", kReserved, "reserved"},
    {"swrk", kReserved, "reserved"},
};

// Null: no such action.
const ActionRow* find_action(std::string_view name);

}  // namespace bpfckpt::cli
