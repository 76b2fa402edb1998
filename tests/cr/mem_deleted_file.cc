// SPDX-License-Identifier: Apache-2.0
// Mappings of files that were deleted: shared and private, in two processes, with one open descriptor and
// with none.
#include "harness/cr_memory.h"

void cr::test() {
  const int fd = make_file("gone", std::string(16 * kPage, 'g'));
  char* shared = map(16 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  char* copy = map(16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  const int other = make_file("gone too", std::string(4 * kPage, 'o'));
  char* unopened = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, other);
  ::close(other);
  REQUIRE(::unlink((directory() + "/gone").c_str()) == 0 &&
          ::unlink((directory() + "/gone too").c_str()) == 0);
  fill(shared + kPage, 1);
  fill(copy + 2 * kPage, 2);
  fill(unopened + kPage, 3);
  Child child([&] {
    wait_released();
    while (shared[5 * kPage] != 'p') ::usleep(1000);
    unopened[0] = 'c';
  });
  await_waiting(1);
  checkpoint_here();
  CHECK(filled(shared + kPage, 1) && filled(copy + kPage, 1));
  CHECK(filled(copy + 2 * kPage, 2) && filled(unopened + kPage, 3));
  CHECK(shared[3 * kPage] == 'g' && copy[3 * kPage] == 'g' && unopened[3 * kPage] == 'o');
  shared[5 * kPage] = 'p';
  child.join();
  CHECK_EQ(unopened[0], 'c');
  char byte = 0;
  CHECK_EQ(::pread(fd, &byte, 1, 5 * kPage), 1);
  CHECK_EQ(byte, 'p');
  CHECK(::access((directory() + "/gone").c_str(), F_OK) < 0);
}
