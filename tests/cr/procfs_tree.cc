// SPDX-License-Identifier: Apache-2.0
// Open files of /proc that show processes of the tree: the own one, a child, a zombie, a thread, a
// descriptor; and those that show none. Position, flags and what they show are kept.
#include <sys/wait.h>

#include <thread>

#include "harness/cr_memory.h"

namespace {

std::string rest_of_line(int fd) {
  std::string line;
  for (char c; ::read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

std::string field(int fd, const std::string& name) {
  std::string text(65536, 0);
  text.resize(std::max<ssize_t>(0, ::pread(fd, text.data(), text.size(), 0)));
  const std::size_t at = ("\n" + text).find("\n" + name + ":");
  return at == std::string::npos
             ? ""
             : text.substr(at + name.size() + 2, text.find('\n', at) - at - name.size() - 2);
}

}  // namespace

void cr::test() {
  // Whoever is looked at must still be there when the checks are made.
  int looked[2];
  REQUIRE(::pipe(looked) == 0);
  const auto stay = [&] {
    wait_released();
    char byte;
    CHECK_EQ(::read(looked[0], &byte, 1), 1);
  };
  Child child(stay);
  const pid_t dead = ::fork();
  REQUIRE(dead >= 0);
  if (dead == 0) ::_exit(3);
  wait_state(dead, 'Z');
  pid_t tid = 0;
  std::thread thread([&] {
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    stay();
  });
  await_waiting(2);
  const std::string own = "/proc/self/", theirs = "/proc/" + std::to_string(child.pid()) + "/",
                    zombies = "/proc/" + std::to_string(dead) + "/";
  const auto open = [](const std::string& path, int flags = O_RDONLY) {
    const int fd = ::open(path.c_str(), flags);
    REQUIRE(fd >= 0);
    return fd;
  };
  const int mountinfo = open(theirs + "mountinfo"), status = open(theirs + "status"),
            maps = open(own + "maps");
  const int zombie = open(zombies + "stat", O_RDONLY | O_NONBLOCK),
            directory_fd = open(own, O_PATH | O_DIRECTORY);
  const int fds = open(own + "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
            tasks = open(own + "task", O_RDONLY | O_DIRECTORY);
  const int of_thread = open(own + "task/" + std::to_string(tid) + "/comm", O_RDWR);
  const int info = open(own + "fdinfo/" + std::to_string(maps));
  const int link = open("/proc/self/fd/" + std::to_string(maps), O_PATH | O_NOFOLLOW);
  const int memory = open(own + "mem", O_RDWR), root = open("/proc", O_RDONLY | O_DIRECTORY);
  const int version = open("/proc/version"), setting = open("/proc/sys/kernel/ostype"),
            net = open(own + "net/dev");
  const std::string first = rest_of_line(mountinfo), second = rest_of_line(mountinfo);
  REQUIRE(::lseek(mountinfo, static_cast<off_t>(first.size()) + 1, SEEK_SET) > 0);
  REQUIRE(::lseek(version, 6, SEEK_SET) == 6 && ::lseek(setting, 1, SEEK_SET) == 1);
  static volatile int value = 42;
  REQUIRE(::lseek(memory, reinterpret_cast<off_t>(&value), SEEK_SET) > 0);
  const std::string head = rest_of_line(net);
  checkpoint_here();
  CHECK_EQ(rest_of_line(mountinfo), second);
  CHECK_EQ(std::stoi(field(status, "Pid")), child.pid());
  CHECK_EQ(field(info, "flags"), "0100000");
  CHECK(read_all(maps).find("[stack]") != std::string::npos);
  CHECK(read_all(zombie).find(") Z ") != std::string::npos);
  CHECK(::openat(directory_fd, "status", O_RDONLY) >= 0);
  CHECK(::faccessat(fds, std::to_string(fds).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0);
  CHECK(::faccessat(tasks, std::to_string(tid).c_str(), F_OK, 0) == 0);
  CHECK_EQ(::write(of_thread, "renamed", 7), 7);
  char target[64] = {};
  CHECK(::readlinkat(link, "", target, sizeof(target)) > 0 && std::string(target).ends_with("/maps"));
  int read_value = 0;
  CHECK_EQ(::read(memory, &read_value, sizeof(read_value)), 4);
  CHECK_EQ(read_value, 42);
  CHECK(::faccessat(root, "self", F_OK, 0) == 0);
  CHECK(read_all(version).starts_with("version "));
  CHECK_EQ(read_all(setting), "inux\n");
  CHECK(rest_of_line(net) != head);
  siginfo_t ended{};
  CHECK(::waitid(P_PID, dead, &ended, WEXITED) == 0 && ended.si_status == 3);
  CHECK_EQ(::write(looked[1], "xx", 2), 2);
  thread.join();
  child.join();
}

cr::Options cr::options() {
  return {.ignore = {"*/fd/*/object"}};  // inodes of proc are made when they are looked for
}
