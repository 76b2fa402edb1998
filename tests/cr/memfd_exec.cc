// SPDX-License-Identifier: Apache-2.0
// Programs that were executed from memfds: plain, sealed against everything with a descriptor left open, and
// with the memfd still open for writing, which only its first description can be.
#include "harness/cr_memory.h"

namespace {

// What the executed program does: says that it runs, waits, and is still what it was.
void executed(const std::string& role) {
  auto check_exe = [&role] {
    char link[64] = {};
    CHECK(::readlink("/proc/self/exe", link, sizeof(link) - 1) > 0);
    CHECK_EQ(std::string(link), "/memfd:" + role + " (deleted)");
    const int exe = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(cr::read_all(exe).substr(0, 4), "\177ELF");
    CHECK(::open("/proc/self/exe", O_RDWR) < 0 && errno == ETXTBSY);
    ::close(exe);
  };
  ::close(::open((cr::directory() + "/runs." + role).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  check_exe();
  while (!cr::released()) ::usleep(1000);
  check_exe();
  if (role != "open") return;
  const int program = 100;
  CHECK_EQ(::fcntl(program, F_GETFL) & O_ACCMODE, O_RDWR);
  CHECK_EQ(::lseek(program, 0, SEEK_CUR), 77);
  CHECK_EQ(::write(program, "x", 1), 1);
}

void execute(const std::string& role, bool sealed) {
  const int program = ::memfd_create(role.c_str(), MFD_ALLOW_SEALING | (sealed ? 0 : MFD_CLOEXEC));
  const int self = ::open("/proc/self/exe", O_RDONLY);
  const std::string code = cr::read_all(self);
  ::close(self);
  REQUIRE(::write(program, code.data(), code.size()) == static_cast<ssize_t>(code.size()));
  if (sealed) REQUIRE(::fcntl(program, F_ADD_SEALS, 0xf) == 0);
  REQUIRE(::fchmod(program, 0500) == 0);
  const std::string link = "/proc/self/fd/" + std::to_string(program);
  const int readable = ::open(link.c_str(), O_RDONLY | (sealed ? 0 : O_CLOEXEC));
  REQUIRE(readable >= 0);
  if (role == "open") {
    REQUIRE(::lseek(program, 77, SEEK_SET) == 77 && ::dup2(program, 100) == 100);
  }
  ::close(program);
  REQUIRE(::setenv("CR_ROLE", role.c_str(), 1) == 0);
  const char* argv[] = {role.c_str(), cr::directory().c_str(), nullptr};
  ::fexecve(readable, const_cast<char**>(argv), environ);
  REQUIRE(false);
}

}  // namespace

void cr::test() {
  if (const char* role = ::getenv("CR_ROLE")) return executed(role);
  Child plain([] { execute("plain", false); });
  Child sealed([] { execute("sealed", true); });
  Child open([] { execute("open", false); });
  for (const char* role : {"plain", "sealed", "open"})
    while (::access((directory() + "/runs." + role).c_str(), F_OK) != 0) ::usleep(1000);
  checkpoint_here();
  plain.join();
  sealed.join();
  open.join();
}
