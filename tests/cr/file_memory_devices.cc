// SPDX-License-Identifier: Apache-2.0
// The memory devices null, zero, full, random and urandom do what they do.
#include "harness/cr_memory.h"

void cr::test() {
  const int null = ::open("/dev/null", O_RDWR), zeros = ::open("/dev/zero", O_RDWR | O_NONBLOCK);
  const int full = ::open("/dev/full", O_WRONLY), random = ::open("/dev/random", O_RDONLY | O_CLOEXEC);
  const int urandom = ::open("/dev/urandom", O_RDWR);
  REQUIRE(null >= 0 && zeros >= 0 && full >= 0 && random >= 0 && urandom >= 0);
  char* mapped = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, zeros);
  fill(mapped + kPage, 1);
  checkpoint_here();
  char buffer[64];
  CHECK_EQ(::read(null, buffer, 64), 0);
  CHECK_EQ(::write(null, buffer, 64), 64);
  std::memset(buffer, 1, 64);
  CHECK_EQ(::read(zeros, buffer, 64), 64);
  CHECK(buffer[0] == 0 && buffer[63] == 0);
  CHECK(::write(full, "x", 1) < 0 && errno == ENOSPC);
  CHECK_EQ(::read(random, buffer, 8), 8);
  CHECK_EQ(::read(urandom, buffer, 64), 64);
  CHECK(std::string(buffer, 32) != std::string(buffer + 32, 32));
  CHECK(zero(mapped) && filled(mapped + kPage, 1));
}
