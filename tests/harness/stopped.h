// SPDX-License-Identifier: Apache-2.0
// A thread of a victim in our hands, and parasites into it.
#pragma once

#include <doctest/doctest.h>
#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>

#include "harness/victim.h"
#include "target/injected_parasite.h"

namespace bpfckpt::victim {

// What nobody may change of a process.
inline std::string snapshot(pid_t pid) {
  std::string text = text_of(proc(pid, "maps"));
  for (const pid_t fd : numbers_in(proc(pid, "fd"))) text += std::to_string(fd) + " ";
  for (const char* line : {"SigBlk", "SigCgt", "SigPnd", "ShdPnd", "State", "TracerPid"})
    text += status_line(pid, line) + "\n";
  return text;
}

// However busy the machine is.
inline target::Injection patient(target::Injection injection = {}) {
  injection.gate_wait = injection.leave_wait = std::chrono::seconds{60};
  return injection;
}

// A stopped task into its gate.
inline target::InjectedParasite send(target::SeizedTask& task, target::RobustList& robust,
                                     target::Injection injection) {
  injection.pid = task.tid();
  injection.vdso = vdso_of(task.tid());
  const auto state = task.state(true);
  REQUIRE(state);
  REQUIRE(target::InjectedParasite::check_home(task, state->registers, injection.pid, injection.vdso));
  auto parasite = target::InjectedParasite::begin(task, robust, *state, injection);
  REQUIRE_MESSAGE(parasite, parasite.error().message());
  return std::move(*parasite);
}

inline target::InjectedParasite take(target::SeizedTask& task, target::RobustList& robust,
                                     const target::Injection& injection = patient()) {
  target::InjectedParasite parasite = send(task, robust, injection);
  const auto placed = parasite.place();
  REQUIRE_MESSAGE(placed, placed.error().message());
  return parasite;
}

// Stopped until the object goes, which outlives its parasites.
struct Stopped {
  explicit Stopped(pid_t pid) : task(seize(waiter, pid)) {
    REQUIRE(task.stop(target::within(std::chrono::seconds{10})));
  }

  target::InjectedParasite send(const target::Injection& injection) {
    return victim::send(task, robust, injection);
  }
  target::InjectedParasite take(const target::Injection& injection = patient()) {
    return victim::take(task, robust, injection);
  }

  target::Waiter waiter;
  target::RobustList robust;
  target::SeizedTask task;

 private:
  static target::SeizedTask seize(target::Waiter& waiter, pid_t pid) {
    auto seized = target::SeizedTask::seize(waiter, pid);
    REQUIRE(seized);
    return std::move(*seized);
  }
};

inline void cure(target::InjectedParasite& parasite) {
  REQUIRE(parasite.begin_cure());
  const auto cured = parasite.cure();
  REQUIRE_MESSAGE(cured, cured.error().message());
}

}  // namespace bpfckpt::victim
