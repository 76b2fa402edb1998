// SPDX-License-Identifier: Apache-2.0
// The gate, in which a thread waits for a bpfckpt that is late, or dead: it goes home by itself, and then
// belongs to itself.
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <chrono>
#include <thread>

#include "harness/stopped.h"

namespace bpfckpt::target {
namespace {

using namespace std::chrono_literals;
using victim::cure;
using victim::Process;
using victim::Shared;
using victim::snapshot;
using victim::Stopped;
using victim::until;

}  // namespace

TEST_CASE("who waits in its gate in vain goes home, whole, and waits longer where it is told so") {
  Process process([] {
    for (;;) ::pause();
    return 0;
  });
  const auto is_in = [&](long call) {
    return victim::text_of(victim::proc(process.pid(), "syscall")).starts_with(fmt::format("{} ", call));
  };
  until([&] { return is_in(SYS_pause); });
  const std::string before = snapshot(process.pid());
  {
    Stopped stopped(process.pid());
    auto parasite = stopped.send({.gate_wait = 1s});
    until([&] { return is_in(SYS_pause); });
    const auto placed = parasite.place();
    REQUIRE(!placed);
    CHECK(placed.error().code() == Error::Code::Conflict);
  }
  until([&] { return snapshot(process.pid()) == before; });
  {
    Stopped stopped(process.pid());
    auto parasite = stopped.send({.gate_wait = 120s, .leave_wait = 60s});
    until([&] { return is_in(SYS_rt_sigtimedwait); });
    std::this_thread::sleep_for(1500ms);
    const auto placed = parasite.place();
    REQUIRE_MESSAGE(placed, placed.error().message());
    REQUIRE(parasite.begin_cure());
    until([&] { return is_in(SYS_rt_sigtimedwait); });
    std::this_thread::sleep_for(1500ms);
    const auto cured = parasite.cure();
    CHECK_MESSAGE(cured, cured.error().message());
  }
  until([&] { return snapshot(process.pid()) == before; });
}

// Its rounds are counted in a register and in memory: who is set back has lost some here and not there.
TEST_CASE("who went home by itself is not touched any more") {
  struct Count {
    std::atomic<std::uint64_t> rounds{0};
    std::atomic<bool> set_back{false};
  };
  Shared<Count> count;
  Process process([&] {
    for (std::uint64_t own = 0;; ++own)
      if (count->rounds.fetch_add(1) != own) count->set_back = true;
    return 0;
  });
  until([&] { return count->rounds > 1000; });
  const std::string before = snapshot(process.pid());
  std::uint64_t frozen_at = 0;
  const auto runs = [&] { return count->rounds > frozen_at + 1000; };
  SUBCASE("on its way in") {
    Stopped stopped(process.pid());
    frozen_at = count->rounds;
    const auto parasite = stopped.send({.gate_wait = 1s});
    until(runs);
  }
  SUBCASE("on its way out") {
    Stopped stopped(process.pid());
    frozen_at = count->rounds;
    auto parasite = stopped.take({.gate_wait = 60s, .leave_wait = 1s});
    REQUIRE(parasite.begin_cure());
    until(runs);
  }
  SUBCASE("nor set back where it is still on its way in") {
    Stopped stopped(process.pid());
    frozen_at = count->rounds;
    const auto parasite = stopped.send(victim::patient());
  }
  SUBCASE("nor where it waits for a dead one") {
    Process killed([&] {
      Stopped stopped(process.pid());
      const auto parasite = stopped.send({.gate_wait = 3600s});
      ::raise(SIGKILL);
      return 1;
    });
    CHECK(WIFSIGNALED(killed.join()));
    until([&] { return victim::status_line(process.pid(), "SigBlk") != "0000000000000000"; });
    Stopped stopped(process.pid());
    const auto state = stopped.task.state(true);
    const auto home = InjectedParasite::check_home(stopped.task, state->registers, process.pid(),
                                                   victim::vdso_of(process.pid()));
    REQUIRE(!home);
    CHECK(home.error().code() == Error::Code::Conflict);
    auto parasite = stopped.take();
    cure(parasite);
    frozen_at = count->rounds;
  }
  until([&] { return runs() && snapshot(process.pid()) == before; });
  CHECK(!count->set_back);
}

}  // namespace bpfckpt::target
