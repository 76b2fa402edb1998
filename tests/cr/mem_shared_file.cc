// SPDX-License-Identifier: Apache-2.0
// A shared mapping of a file, in two processes: what either writes the other sees and the file has.
#include "harness/cr_memory.h"

void cr::test() {
  const int fd = make_file("data", std::string(8 * kPage, 'x'));
  char* area = map(8 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  char* read_only = map(kPage, PROT_READ, MAP_SHARED, fd, 4 * kPage);
  ::close(fd);
  fill(area + kPage, 1);
  Child child([&] {
    char* own = area;
    wait_released();
    CHECK(filled(own + kPage, 1));
    while (own[2 * kPage] != 'p') ::usleep(1000);
    own[3 * kPage] = 'c';
  });
  await_waiting(1);
  checkpoint_here();
  area[2 * kPage] = 'p';
  child.join();
  CHECK_EQ(area[3 * kPage], 'c');
  area[4 * kPage] = 'r';
  CHECK_EQ(read_only[0], 'r');
  CHECK(::mprotect(read_only, kPage, PROT_READ | PROT_WRITE) == 0);
  const std::string content = file_content("data");
  CHECK(filled(content.data() + kPage, 1));
  CHECK(content[2 * kPage] == 'p' && content[3 * kPage] == 'c' && content[4 * kPage] == 'r');
}
