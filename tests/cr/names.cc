// SPDX-License-Identifier: Apache-2.0
// Names that a program gave itself: thread name with odd bytes, rewritten command line and environment, moved
// boundaries of both (PR_SET_MM_MAP).
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cstdint>
#include <fstream>

#include "harness/cr_test.h"

extern char** environ;

namespace {

// PR_SET_MM_MAP sets all boundaries at once; the others keep their values, which proc(5) gives as stat's
// fields.
void move_arguments(char* start, std::size_t len_bytes) {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::vector<unsigned long long> value{0, 0, 0};
  for (std::string field; fields >> field;) value.push_back(std::strtoull(field.c_str(), nullptr, 10));
  REQUIRE(value.size() > 51);
  const auto begin = reinterpret_cast<std::uintptr_t>(start);
  prctl_mm_map map{};
  map.start_code = value[26];
  map.end_code = value[27];
  map.start_stack = value[28];
  map.start_data = value[45];
  map.end_data = value[46];
  map.start_brk = value[47];
  map.brk = reinterpret_cast<std::uintptr_t>(::sbrk(0));
  map.arg_start = begin;
  map.arg_end = begin + len_bytes;
  map.env_start = value[50];
  map.env_end = value[51];
  map.exe_fd = -1U;
  REQUIRE(::prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) == 0);
}

}  // namespace

void cr::test() {
  REQUIRE(::prctl(PR_SET_NAME, "a b)(\x01\xff") == 0);
  Child rewritten([] {
    // The old trick of setproctitle: write over the strings on the stack.
    char* argument = environ[0] - 2;
    while (argument[-1] != '\0') --argument;
    *argument = 'X';
    environ[0][0] = 'Y';
    wait_released();
  });
  Child moved([] {
    auto* area =
        static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(area != MAP_FAILED);
    std::memcpy(area, "new title\0with two words", 25);
    move_arguments(area, 25);
    wait_released();
    std::ifstream file("/proc/self/cmdline");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    CHECK_EQ(text.size(), 25U);
    CHECK(text.starts_with("new title"));
  });
  await_waiting(2);
  checkpoint_here();
  char name[16] = {};
  CHECK_EQ(::prctl(PR_GET_NAME, name), 0);
  CHECK_EQ(std::string(name), "a b)(\x01\xff");
  rewritten.join();
  moved.join();
}
