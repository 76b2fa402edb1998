// SPDX-License-Identifier: Apache-2.0
// A child that made writable what its parent can only read, and wrote there: private mappings of a file, of
// the program itself, and of nothing. The parent has no pages of its own in them.
#include <algorithm>

#include "harness/cr_memory.h"

namespace {

constexpr std::size_t kPages = 6;

// Code on a page of its own: nothing else runs there. The child changes its last byte, which is never run.
extern "C" int own_page_of_code(int value);
asm(R"(
  .pushsection .text.own_page, "ax", @progbits
  .balign 4096
  .globl own_page_of_code
own_page_of_code:
  lea 1(%rdi, %rdi, 2), %eax
  ret
  .balign 4096, 0xcc
  .popsection
)");

}  // namespace

void cr::test() {
  const std::string content(kPages * kPage, 'f');
  const int file = make_file("data", content);
  char* of_file = map(kPages * kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, file);
  char* of_nothing = map(kPages * kPage, PROT_READ);
  char* own_code = reinterpret_cast<char*>(&own_page_of_code);
  const std::string program(own_code, kPage);
  Child child([&] {
    for (char* area : {of_file, of_nothing}) {
      // In the middle, so that the child's mapping is another than the parent's.
      REQUIRE(::mprotect(area + kPage, 3 * kPage, PROT_READ | PROT_WRITE) == 0);
      fill(area + 2 * kPage, 7);
      // Two pages cannot be written any more.
      REQUIRE(::mprotect(area + 2 * kPage, 2 * kPage, PROT_READ) == 0);
    }
    REQUIRE(::mprotect(own_code, kPage, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    own_code[kPage - 1] ^= 0x55;
    wait_released();
    for (char* area : {of_file, of_nothing}) {
      CHECK(filled(area + 2 * kPage, 7));
      fill(area + kPage, 8);
      CHECK(filled(area + kPage, 8));
      const iovec local{area, kPage}, remote{area + 2 * kPage, kPage};
      CHECK(::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0) == -1);
    }
    CHECK(zero(of_nothing) && zero(of_nothing + 4 * kPage));
    CHECK(std::ranges::count(std::string(of_file + 4 * kPage, kPage), 'f') == static_cast<int>(kPage));
    CHECK(std::string(own_code, kPage - 1) == program.substr(0, kPage - 1));
    CHECK_EQ(own_code[kPage - 1], static_cast<char>(program[kPage - 1] ^ 0x55));
    CHECK_EQ(own_page_of_code(4), 13);
  });
  await_waiting(1);
  checkpoint_here();
  CHECK(std::string(of_file, kPages * kPage) == content);
  for (std::size_t i = 0; i < kPages; ++i) CHECK(zero(of_nothing + i * kPage));
  CHECK(std::string(own_code, kPage) == program);
  CHECK_EQ(own_page_of_code(4), 13);
  child.join();
}
