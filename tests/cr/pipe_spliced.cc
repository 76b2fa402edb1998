// SPDX-License-Identifier: Apache-2.0
// Pipes whose slots are not what write(2) makes: pages of a file (splice), of memory (vmsplice), of another
// pipe (tee), a slot that was read in part, as many slots as there can be with a byte each.
#include <sys/uio.h>

#include "harness/cr_memory.h"

namespace {

struct Pipe {
  int read_end = -1, write_end = -1;
};

Pipe make() {
  int fds[2];
  REQUIRE(::pipe2(fds, O_NONBLOCK) == 0);
  return {fds[0], fds[1]};
}

}  // namespace

void cr::test() {
  std::string content(40'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i / 7 * 13);
  const int file = make_file("file", content);
  const Pipe from_file = make(), from_memory = make(), copied = make(), crumbs = make();
  loff_t offset = 1000;
  REQUIRE(::splice(file, &offset, from_file.write_end, nullptr, 30'000, 0) == 30'000);
  REQUIRE(::tee(from_file.read_end, copied.write_end, 20'000, 0) == 20'000);
  char skipped[1500];
  REQUIRE(::read(from_file.read_end, skipped, sizeof(skipped)) == sizeof(skipped));
  // What the file holds later is what the pipe holds: they are the same pages.
  char* page = map(kPage);
  fill(page, 7);
  const iovec piece{page, kPage};
  REQUIRE(::vmsplice(from_memory.write_end, &piece, 1, 0) == static_cast<ssize_t>(kPage));
  for (loff_t i = 0; i < 16; ++i) {
    loff_t at = i * 2001;
    REQUIRE(::splice(file, &at, crumbs.write_end, nullptr, 1, 0) == 1);
  }
  REQUIRE(::write(crumbs.write_end, "x", 1) < 0 && errno == EAGAIN);
  checkpoint_here();
  CHECK(read_all(from_file.read_end) == content.substr(2500, 28'500));
  CHECK(read_all(copied.read_end) == content.substr(1000, 20'000));
  const std::string memory = read_all(from_memory.read_end);
  CHECK(memory.size() == kPage && filled(memory.data(), 7));
  std::string expected;
  for (std::size_t i = 0; i < 16; ++i) expected += content[i * 2001];
  CHECK(read_all(crumbs.read_end) == expected);
  CHECK(file_content("file") == content);
}
