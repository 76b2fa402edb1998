// SPDX-License-Identifier: Apache-2.0
#include "target/stub.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <string>

#include "parasite/embedded.h"
#include "target/spawn.h"

namespace bpfckpt::target {
namespace {

Result<Fd> stub_image() {
  // MFD_EXEC, since 6.3: without it the sysctl vm.memfd_noexec may say that it cannot be executed.
  constexpr unsigned kExec = 0x10;
  Fd image(::memfd_create("bpfckpt-stub", MFD_CLOEXEC | kExec));
  if (!image && errno == EINVAL) image.reset(::memfd_create("bpfckpt-stub", MFD_CLOEXEC));
  if (!image) return fail(Error::system("memfd_create"));
  const auto code = parasite::stub();
  if (::write(image.get(), code.data(), code.size()) != static_cast<ssize_t>(code.size()))
    return fail(Error::system("write of the stub"));
  return image;
}

// The exit status of a child that will go, reaped; -1 if it is not our child (CLONE_PARENT).
int reap(const Fd& pidfd) {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | __WALL) != 0) return -1;
  return info.si_status;
}

}  // namespace

Result<void> PidfdWatch::check() {
  pollfd readable{.fd = pidfd_, .events = POLLIN, .revents = 0};
  if (::poll(&readable, 1, 0) == 1) return fail(Error::target_gone(fmt::format("process {} died", pid_)));
  return {};
}

Result<Stub> start_stub(const Area& area, const StubOptions& options) {
  TRY_ASSIGN(const Fd image, stub_image());
  const auto range = area.range();
  std::array<std::string, 5> args = {"bpfckpt-stub", fmt::format("{:x}", range.start.value()),
                                     fmt::format("{:x}", range.size()), fmt::format("{:x}", area.fd()),
                                     fmt::format("{:x}", area.slot(0).address.value())};
  std::array<char*, 6> argv{};
  for (std::size_t i = 0; i < args.size(); ++i) argv[i] = args[i].data();
  char* const envp[] = {nullptr};

  int pidfd = -1;
  clone_args clone{};
  clone.flags = options.clone_flags | CLONE_PIDFD;
  clone.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  clone.exit_signal = static_cast<std::uint64_t>(options.exit_signal);
  clone.set_tid = reinterpret_cast<std::uint64_t>(options.set_tid.data());
  clone.set_tid_size = options.set_tid.size();

  // The child inherits the mask: no signal reaches it from its first instruction on. By the raw call: the C
  // library would leave out the two signals that it keeps for itself.
  const std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t before = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  const Spawned spawned = spawn(clone, {image.get(), argv.data(), envp, area.fd()});
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);

  if (spawned.pid < 0) {
    const int err = static_cast<int>(-spawned.pid);
    std::string what = "clone3";
    if (!options.set_tid.empty()) what += fmt::format(" with pid {}", options.set_tid.back());
    if (err == EEXIST) return fail(Error(Error::Code::Conflict, err, what));
    return fail(Error::system(what, err));
  }
  Stub stub{.pid = static_cast<pid_t>(spawned.pid), .pidfd = Fd(pidfd), .vdso = {}};
  if (spawned.child_error != 0) {
    reap(stub.pidfd);
    return fail(Error::system("execveat of the stub", static_cast<int>(spawned.child_error)));
  }

  Batch batch(area.slot(0));
  PidfdWatch watch(stub.pidfd.get(), stub.pid);
  if (auto alive = batch.wait_alive(watch); !alive) {
    ::syscall(SYS_pidfd_send_signal, stub.pidfd.get(), SIGKILL, nullptr, 0);
    const int status = reap(stub.pidfd);
    return fail(std::move(alive.error()).in(fmt::format("stub (status {})", status)));
  }
  stub.vdso = RemoteAddress(area.header().vdso);
  return stub;
}

}  // namespace bpfckpt::target
