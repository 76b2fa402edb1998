// SPDX-License-Identifier: Apache-2.0
#include "restore/environment.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/fd.h"
#include "kernel/security_label.h"
#include "kernel/session_keyring.h"

namespace bpfckpt::restore {

bool HostEnvironment::path_exists(const std::string& path) const {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0;
}

int HostEnvironment::descriptor_limit() const {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return static_cast<int>(std::min<rlim_t>(limit.rlim_max, 1 << 20));
}

int HostEnvironment::caller_terminal() const {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::isatty(fd)) return fd;
  return -1;
}

bool HostEnvironment::timer_ids_restorable() const {
  constexpr int kPrTimerCreateRestoreIds = 77, kGet = 2;  // include/uapi/linux/prctl.h, since 6.16
  return ::prctl(kPrTimerCreateRestoreIds, kGet, 0, 0, 0) >= 0;
}

int HostEnvironment::oom_score_adj() const {
  std::unique_ptr<FILE, int (*)(FILE*)> file(::fopen("/proc/self/oom_score_adj", "re"), ::fclose);
  int value = 0;
  if (file == nullptr || ::fscanf(file.get(), "%d", &value) != 1) return 0;
  return value;
}

std::uint32_t HostEnvironment::coredump_filter() const {
  std::unique_ptr<FILE, int (*)(FILE*)> file(::fopen("/proc/self/coredump_filter", "re"), ::fclose);
  std::uint32_t value = 0;
  if (file == nullptr || ::fscanf(file.get(), "%x", &value) != 1) return 0;
  return value;
}

int HostEnvironment::last_capability() const {
  if (last_capability_ < 0) {
    int last = 0;
    while (last < 63 && ::prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0) last++;
    last_capability_ = last;
  }
  return last_capability_;
}

bool HostEnvironment::queue_exists(const std::string& name) const {
  Fd queue(static_cast<int>(::syscall(SYS_mq_open, name.c_str(), O_RDONLY, 0, nullptr)));
  return static_cast<bool>(queue) || errno != ENOENT;
}

bool HostEnvironment::segment_exists(std::uint32_t id) const {
  shmid_ds facts{};
  return ::shmctl(static_cast<int>(id), IPC_STAT, &facts) == 0 || errno == EACCES;
}

Environment::Ids HostEnvironment::ids() const {
  Ids ids;
  ::getresuid(&ids.ruid, &ids.euid, &ids.suid);
  ids.egid = ::getegid();
  return ids;
}

std::string HostEnvironment::security_label() const {
  if (!security_label_) security_label_ = kernel::own_label().value_or("");
  return *security_label_;
}

bool HostEnvironment::can_join_session_keyring() const {
  if (!joins_session_keyring_) joins_session_keyring_ = kernel::can_join_session_keyring();
  return *joins_session_keyring_;
}

std::int64_t HostEnvironment::clock_ns(clockid_t clock) const {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

Environment::SocketBuffers HostEnvironment::socket_buffers() const {
  if (socket_buffers_) return *socket_buffers_;
  SocketBuffers buffers;
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  socklen_t len = sizeof buffers.receive;
  if (socket) {
    ::getsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &buffers.receive, &len);
    ::getsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &buffers.send, &len);
  }
  socket_buffers_ = buffers;
  return buffers;
}

// "0-3,8-11"
std::uint32_t HostEnvironment::possible_cpus() const {
  std::unique_ptr<FILE, int (*)(FILE*)> file(::fopen("/sys/devices/system/cpu/possible", "re"), ::fclose);
  if (file == nullptr) return 1;
  std::uint32_t count = 0;
  for (unsigned first = 0, last = 0; ::fscanf(file.get(), "%u", &first) == 1; count += last - first + 1) {
    last = first;
    int next = std::fgetc(file.get());
    if (next == '-' && ::fscanf(file.get(), "%u", &last) == 1) next = std::fgetc(file.get());
    if (last < first || next != ',') return count + (last < first ? 0 : last - first + 1);
  }
  return count;
}

}  // namespace bpfckpt::restore
