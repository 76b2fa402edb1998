// SPDX-License-Identifier: Apache-2.0
// Calls into the vDSO of one kernel are led to that of another. This machine's own, moved, is the other one.
#include "kernel/vdso.h"

#include <doctest/doctest.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>

#include <cstring>

#include "harness/skip.h"

using namespace bpfckpt;

namespace {

std::span<const std::byte> own_vdso() {
  const auto* start = reinterpret_cast<const std::byte*>(::getauxval(AT_SYSINFO_EHDR));
  // Two pages hold it on every kernel so far; what is behind the ELF image does not matter here.
  return start == nullptr ? std::span<const std::byte>() : std::span(start, 8192);
}

using ClockGettime = int (*)(clockid_t, timespec*);
using GetCpu = int (*)(unsigned*, unsigned*, void*);

// Puts code where it can be run.
class Runnable {
 public:
  explicit Runnable(std::span<const std::byte> code)
      : len_(code.size()),
        start_(::mmap(nullptr, len_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    std::memcpy(start_, code.data(), len_);
    ::mprotect(start_, len_, PROT_READ | PROT_EXEC);
  }
  ~Runnable() { ::munmap(start_, len_); }
  template <class Function>
  Function at(std::uint64_t offset) const {
    return reinterpret_cast<Function>(static_cast<char*>(start_) + offset);
  }

 private:
  std::size_t len_;
  void* start_;
};

// A clock that the system call reads, too, lies between two readings of it.
void check_clock(ClockGettime function) {
  timespec before{}, now{}, after{};
  REQUIRE(::clock_gettime(CLOCK_MONOTONIC, &before) == 0);
  REQUIRE(function(CLOCK_MONOTONIC, &now) == 0);
  REQUIRE(::clock_gettime(CLOCK_MONOTONIC, &after) == 0);
  auto ns = [](const timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
  CHECK(ns(before) <= ns(now));
  CHECK(ns(now) <= ns(after));
  CHECK(function(-1000, &now) != 0);
}

}  // namespace

TEST_CASE("the functions of a vDSO are found") {
  const auto image = own_vdso();
  REQUIRE_FEATURE(!image.empty(), "machine: no vDSO");
  auto functions = kernel::vdso_functions(image);
  REQUIRE(functions.has_value());
  CHECK(functions->contains("__vdso_clock_gettime"));
  CHECK(functions->contains("__vdso_getcpu"));
  for (const auto& [name, offset] : *functions) CHECK(offset < image.size());
}

TEST_CASE("what is no vDSO is refused") {
  CHECK_FALSE(kernel::vdso_functions({}).has_value());
  const std::vector<std::byte> zeroes(8192);
  CHECK_FALSE(kernel::vdso_functions(zeroes).has_value());
  const auto image = own_vdso();
  REQUIRE_FEATURE(!image.empty(), "machine: no vDSO");
  // Whatever byte is wrong, and wherever it ends, nothing is read outside of it.
  for (std::size_t len = 0; len < 4096; len += 61) {
    const std::vector<std::byte> cut(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(len));
    if (auto functions = kernel::vdso_functions(cut))
      for (const auto& [name, offset] : *functions) CHECK(offset < cut.size());
  }
  for (std::size_t at = 0; at < 1024; at++) {
    std::vector<std::byte> wrong(image.begin(), image.end());
    wrong[at] ^= std::byte{0xff};
    if (auto functions = kernel::vdso_functions(wrong))
      for (const auto& [name, offset] : *functions) CHECK(offset < wrong.size());
  }
}

TEST_CASE("a call into the old vDSO ends in the new one") {
  const auto image = own_vdso();
  REQUIRE_FEATURE(!image.empty(), "machine: no vDSO");
  auto pages = kernel::lead_over(image, image, reinterpret_cast<std::uint64_t>(image.data()));
  REQUIRE_MESSAGE(pages.has_value(), pages.error().message());
  CHECK(pages->size() == image.size());
  const auto functions = *kernel::vdso_functions(image);
  const Runnable old(*pages);
  check_clock(old.at<ClockGettime>(functions.at("__vdso_clock_gettime")));
  unsigned cpu = ~0u, node = ~0u;
  CHECK(old.at<GetCpu>(functions.at("__vdso_getcpu"))(&cpu, &node, nullptr) == 0);
  CHECK(cpu < 4096);
  CHECK(node < 4096);
  // It is still an image that programs find their way in.
  CHECK(*kernel::vdso_functions(*pages) == functions);
}

TEST_CASE("what the new vDSO has not is done by a system call") {
  for (const char* name : {"__vdso_clock_gettime", "clock_gettime"}) {
    const auto code = kernel::call_instead_of(name);
    REQUIRE_FALSE(code.empty());
    const Runnable call(code);
    timespec now{};
    CHECK(call.at<ClockGettime>(0)(CLOCK_MONOTONIC, &now) == 0);
    CHECK(now.tv_sec > 0);
  }
  for (const char* name :
       {"__vdso_getcpu", "__vdso_time", "__vdso_gettimeofday", "__vdso_clock_getres", "__vdso_getrandom"})
    CHECK_FALSE(kernel::call_instead_of(name).empty());
  CHECK(kernel::call_instead_of("__vdso_no_such").empty());
  CHECK_FALSE(kernel::works_by_itself("__vdso_clock_gettime"));
  CHECK(kernel::works_by_itself("__vdso_futex_robust_list64_try_unlock"));
}
