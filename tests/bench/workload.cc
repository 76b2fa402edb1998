// SPDX-License-Identifier: Apache-2.0
// bench_workload KIND N READY: a target of a given size. It creates the file READY when it stands, and then
// waits.
//   plain 1         nothing but itself
//   processes N     N processes in all, children of the first
//   threads N       N threads in all
//   vmas N          N mappings that the kernel cannot merge, every second one with a page in it
//   files N         N regular files open, each its own, in the current directory
//   pipes N         N descriptors: N/2 pipes, each with a few bytes in it
//   unix N          N descriptors: N/2 pairs of unix sockets, each with data in both directions
//   mixed N         N descriptors of several kinds: files, deleted files, directories, memfds, pipes
//   epoll N         an epoll instance with N targets, which are eventfds
//   inotify N       an inotify instance with N watches, each of a file in the current directory
//   memory N        N MiB of random bytes
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

namespace {

constexpr std::size_t kPage = 4096;

void check(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

[[noreturn]] void wait_forever() {
  for (;;) ::pause();
}

void processes(int count) {
  int up[2];
  check(::pipe(up) == 0, "pipe");
  for (int i = 1; i < count; ++i) {
    pid_t pid = ::fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
      ::close(up[0]);
      check(::write(up[1], "", 1) == 1, "write");
      ::close(up[1]);
      wait_forever();
    }
  }
  char byte = 0;
  for (int i = 1; i < count; ++i) check(::read(up[0], &byte, 1) == 1, "read");
  ::close(up[0]);
  ::close(up[1]);
}

void threads(int count) {
  for (int i = 1; i < count; ++i) std::thread(wait_forever).detach();
}

void vmas(int count) {
  auto* base =
      static_cast<char*>(::mmap(nullptr, kPage * static_cast<std::size_t>(count), PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  check(base != MAP_FAILED, "mmap");
  for (int i = 0; i < count; i += 2) {
    base[static_cast<std::size_t>(i) * kPage] = 1;
    check(::mprotect(base + static_cast<std::size_t>(i) * kPage, kPage, PROT_READ) == 0, "mprotect");
  }
}

void raise_descriptor_limit() {
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  check(::setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

void files(int count) {
  raise_descriptor_limit();
  for (int i = 0; i < count; ++i) {
    auto name = "file" + std::to_string(i);
    int fd = ::open(name.c_str(), O_RDWR | O_CREAT, 0600);
    check(fd >= 0, "open");
    check(::write(fd, name.data(), name.size()) == static_cast<ssize_t>(name.size()), "write");
  }
}

void pipes(int count) {
  raise_descriptor_limit();
  for (int i = 0; i < count / 2; ++i) {
    int ends[2];
    check(::pipe(ends) == 0, "pipe");
    check(::write(ends[1], "data", 4) == 4, "write");
  }
}

void unix_sockets(int count) {
  raise_descriptor_limit();
  for (int i = 0; i < count / 2; ++i) {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    for (int end : ends) check(::write(end, "data", 4) == 4, "write");
  }
}

// Connections of the process with itself, over the loopback device.
void tcp(int count) {
  raise_descriptor_limit();
  int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof address;
  check(::bind(listener, reinterpret_cast<sockaddr*>(&address), len) == 0, "bind");
  check(::listen(listener, 1) == 0, "listen");
  check(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &len) == 0, "getsockname");
  for (int i = 0; i < count; ++i) {
    int client = ::socket(AF_INET, SOCK_STREAM, 0);
    check(::connect(client, reinterpret_cast<sockaddr*>(&address), len) == 0, "connect");
    check(::accept(listener, nullptr, nullptr) >= 0, "accept");
    check(::write(client, "data", 4) == 4, "write");
  }
}

// Six descriptors at a time.
void mixed(int count) {
  raise_descriptor_limit();
  for (int i = 0; i < count; i += 6) {
    auto name = std::to_string(i);
    int file = ::open(("file" + name).c_str(), O_RDWR | O_CREAT, 0600);
    int deleted = ::open(("gone" + name).c_str(), O_RDWR | O_CREAT, 0600);
    int directory = ::open(".", O_RDONLY | O_DIRECTORY);
    int memory = ::memfd_create(name.c_str(), 0);
    int ends[2];
    check(file >= 0 && deleted >= 0 && directory >= 0, "open");
    check(::unlink(("gone" + name).c_str()) == 0, "unlink");
    check(memory >= 0, "memfd_create");
    check(::pipe(ends) == 0, "pipe");
    for (int fd : {file, deleted, memory, ends[1]})
      check(::write(fd, name.data(), name.size()) == static_cast<ssize_t>(name.size()), "write");
  }
}

void epoll(int count) {
  raise_descriptor_limit();
  int epoll = ::epoll_create1(0);
  check(epoll >= 0, "epoll_create1");
  for (int i = 0; i < count; ++i) {
    int target = ::eventfd(0, 0);
    check(target >= 0, "eventfd");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = target;
    check(::epoll_ctl(epoll, EPOLL_CTL_ADD, target, &event) == 0, "epoll_ctl");
  }
}

void inotify(int count) {
  int watcher = ::inotify_init1(0);
  check(watcher >= 0, "inotify_init1");
  for (int i = 0; i < count; ++i) {
    auto name = "watched" + std::to_string(i);
    int file = ::open(name.c_str(), O_RDWR | O_CREAT, 0600);
    check(file >= 0, "open");
    ::close(file);
    check(::inotify_add_watch(watcher, name.c_str(), IN_MODIFY) >= 0, "inotify_add_watch");
  }
}

void memory(int mebibytes) {
  auto len_bytes = static_cast<std::size_t>(mebibytes) << 20;
  void* base = ::mmap(nullptr, len_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(base != MAP_FAILED, "mmap");
  auto* words = static_cast<std::uint64_t*>(base);
  std::uint64_t state = 0x9e3779b97f4a7c15;
  for (std::size_t i = 0; i < len_bytes / sizeof(*words); ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    words[i] = state;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::string_view kind = argv[1];
  int count = std::atoi(argv[2]);
  if (kind == "processes") {
    processes(count);
  } else if (kind == "threads") {
    threads(count);
  } else if (kind == "vmas") {
    vmas(count);
  } else if (kind == "files") {
    files(count);
  } else if (kind == "pipes") {
    pipes(count);
  } else if (kind == "unix") {
    unix_sockets(count);
  } else if (kind == "tcp") {
    tcp(count);
  } else if (kind == "mixed") {
    mixed(count);
  } else if (kind == "epoll") {
    epoll(count);
  } else if (kind == "inotify") {
    inotify(count);
  } else if (kind == "memory") {
    memory(count);
  } else if (kind != "plain") {
    return 2;
  }
  int ready = ::open(argv[3], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  check(ready >= 0, "open");
  ::close(ready);
  wait_forever();
}
