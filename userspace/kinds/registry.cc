// SPDX-License-Identifier: Apache-2.0
// Every kind, by the number that BPF gives it. Adding one: a line in the declarations, a line in the table.
#include <array>

#include "bpf/records.h"
#include "kinds/kind.h"

namespace bpfckpt::kinds {

extern const Kind kUnsupported, kRegular, kChardev, kPipe, kShmem, kTty, kEpoll, kEventfd, kBpfMap, kBpfOther,
    kLandlock, kPerfEvent, kSeccompNotify, kTimerfd, kSignalfd, kPidfd, kNsfs, kMqueue, kProcfs, kBlockdev,
    kTun, kSysvShm, kAio, kIoUring, kUserfaultfd, kInotify, kFanotify, kUnix, kTcp, kUdp, kRaw, kPacket,
    kNetlink, kSocketOther;

namespace {

struct Row {
  file_kind number;
  const Kind* kind;
};

constexpr Row kRows[] = {
    {FILE_KIND_UNSUPPORTED, &kUnsupported},
    {FILE_KIND_REGULAR, &kRegular},
    {FILE_KIND_CHARDEV, &kChardev},
    {FILE_KIND_PIPE, &kPipe},
    {FILE_KIND_SHMEM, &kShmem},
    {FILE_KIND_TTY, &kTty},
    {FILE_KIND_EPOLL, &kEpoll},
    {FILE_KIND_EVENTFD, &kEventfd},
    {FILE_KIND_AIO, &kAio},
    {FILE_KIND_BPF_MAP, &kBpfMap},
    {FILE_KIND_BPF_OTHER, &kBpfOther},
    {FILE_KIND_IO_URING, &kIoUring},
    {FILE_KIND_LANDLOCK, &kLandlock},
    {FILE_KIND_PERF_EVENT, &kPerfEvent},
    {FILE_KIND_SECCOMP_NOTIFY, &kSeccompNotify},
    {FILE_KIND_TIMERFD, &kTimerfd},
    {FILE_KIND_SIGNALFD, &kSignalfd},
    {FILE_KIND_PIDFD, &kPidfd},
    {FILE_KIND_NSFS, &kNsfs},
    {FILE_KIND_MQUEUE, &kMqueue},
    {FILE_KIND_PROCFS, &kProcfs},
    {FILE_KIND_TUN, &kTun},
    {FILE_KIND_BLOCKDEV, &kBlockdev},
    {FILE_KIND_USERFAULTFD, &kUserfaultfd},
    {FILE_KIND_INOTIFY, &kInotify},
    {FILE_KIND_FANOTIFY, &kFanotify},
    {FILE_KIND_SYSV_SHM, &kSysvShm},
    {FILE_KIND_UNIX, &kUnix},
    {FILE_KIND_TCP, &kTcp},
    {FILE_KIND_UDP, &kUdp},
    {FILE_KIND_RAW, &kRaw},
    {FILE_KIND_PACKET, &kPacket},
    {FILE_KIND_NETLINK, &kNetlink},
    {FILE_KIND_SOCKET_OTHER, &kSocketOther},
};

constexpr auto kKinds = [] {
  std::array<const Kind*, std::size(kRows)> kinds{};
  for (std::size_t i = 0; i < kinds.size(); i++) kinds[i] = kRows[i].kind;
  return kinds;
}();

}  // namespace

const Kind* find(std::string_view name) {
  for (const Kind* kind : kKinds)
    if (kind->name == name) return kind;
  return nullptr;
}

const Kind& by_number(std::uint32_t number) {
  for (const Row& row : kRows)
    if (row.number == number) return *row.kind;
  return kUnsupported;
}

std::span<const Kind* const> all() {
  return kKinds;
}

}  // namespace bpfckpt::kinds
