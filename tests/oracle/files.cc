// SPDX-License-Identifier: Apache-2.0
// Descriptors against /proc/PID/fd and fdinfo.
#include <dirent.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <set>

#include "images/kinds/procfs.pb.h"
#include "images/kinds/regular.pb.h"
#include "oracle/target.h"

using namespace oracle;

namespace {

std::set<std::uint32_t> fds_of(const Target& target) {
  std::set<std::uint32_t> fds;
  DIR* directory = ::opendir(target.proc("fd").c_str());
  while (const dirent* entry = ::readdir(directory))
    if (entry->d_name[0] != '.') fds.insert(static_cast<std::uint32_t>(std::stoul(entry->d_name)));
  ::closedir(directory);
  return fds;
}

void compare(const Target& target, const bpfckpt::Model& model) {
  bpfckpt::ModelIndex index(model);
  const auto* table = index.fd_table(index.process(static_cast<std::uint32_t>(target.pid()))->fd_table_id());
  REQUIRE(table != nullptr);
  std::set<std::uint32_t> seen;
  for (const auto& entry : table->entries()) {
    const std::string number = std::to_string(entry.fd());
    CAPTURE(number);
    seen.insert(entry.fd());
    const auto* file = index.file(entry.file_id());
    REQUIRE(file != nullptr);
    auto info = target.fields("fdinfo/" + number);
    CHECK(file->position() == std::stoll(info["pos"]));
    CHECK((file->flags() | (entry.close_on_exec() ? O_CLOEXEC : 0)) == std::stoul(info["flags"], nullptr, 8));
    CHECK(file->path().mount_id() == std::stoul(info["mnt_id"]));
    CHECK(file->inode().number() == std::stoul(info["ino"]));
    struct stat facts;
    REQUIRE(::stat(target.proc("fd/" + number).c_str(), &facts) == 0);
    CHECK(file->inode().device() == facts.st_dev);
    CHECK(file->inode().rdev() == facts.st_rdev);
    CHECK(file->inode().mode() == facts.st_mode);
    CHECK(file->inode().size() == static_cast<std::uint64_t>(facts.st_size));
    CHECK(file->inode().links() == facts.st_nlink);
    CHECK(file->inode().mtime_ns() == facts.st_mtim.tv_sec * 1'000'000'000LL + facts.st_mtim.tv_nsec);
    std::string path = file->path().path();
    if (file->path().deleted() || file->kind() == "shmem") path += " (deleted)";
    CHECK(path == target.link("fd/" + number));
  }
  CHECK(seen == fds_of(target));
}

const bpfckpt::pb::File& file_at(const bpfckpt::Model& model, std::uint32_t fd) {
  bpfckpt::ModelIndex index(model);
  for (const auto& entry : model.files.tables(0).entries())
    if (entry.fd() == fd) return *index.file(entry.file_id());
  FAIL("no such fd");
  return model.files.files(0);
}

}  // namespace

TEST_CASE("every descriptor, as fdinfo shows it") {
  Target target([] {
    char name[] = "/tmp/oracle-files-XXXXXX";
    ::dup2(::mkstemp(name), 100);
    ::write(100, "0123456789", 10);
    ::lseek(100, 4, SEEK_SET);
    ::dup2(100, 101);                                             // one description
    ::dup2(::open(name, O_WRONLY | O_APPEND | O_NONBLOCK), 102);  // another of the same file
    ::dup3(::open(name, O_PATH), 103, O_CLOEXEC);
    ::unlink(name);
    int ends[2];
    ::pipe2(ends, O_DIRECT | O_NONBLOCK);
    ::write(ends[1], "packet", 6);
    ::write(ends[1], "two", 3);
    ::dup2(ends[0], 110);
    ::dup2(ends[1], 111);
    ::dup2(::memfd_create("sealed", MFD_ALLOW_SEALING), 120);
    ::fcntl(120, F_ADD_SEALS, F_SEAL_GROW);
    ::dup2(::open("/dev/null", O_RDWR), 130);
    const std::string ends_so = "/tmp/oracle-" + std::to_string(::getpid()) + " (deleted)";
    ::dup2(::open(ends_so.c_str(), O_CREAT | O_RDONLY, 0600), 140);
    ::unlink(ends_so.c_str());
    ::dup2(::open("/", O_DIRECTORY), 150);
    ::fcntl(110, F_SETOWN, ::getpid());
    ::fcntl(110, F_SETSIG, SIGUSR1);
  });
  const auto model = model_of(target.pid());
  compare(target, model);
  CHECK(file_at(model, 100).id() == file_at(model, 101).id());
  CHECK(file_at(model, 100).id() != file_at(model, 102).id());
  CHECK(file_at(model, 100).object_id() ==
        file_at(model, 102).object_id());  // no name leads to it: an object
  CHECK(file_at(model, 100).object_id() != 0);
  CHECK(file_at(model, 103).object_id() == file_at(model, 100).object_id());  // O_PATH leads there, too
  CHECK(file_at(model, 110).object_id() == file_at(model, 111).object_id());
  CHECK(file_at(model, 110).kind() == "pipe");
  CHECK(file_at(model, 110).owner().pid() == static_cast<std::uint32_t>(target.pid()));
  CHECK(file_at(model, 110).owner().signal() == SIGUSR1);
  CHECK(file_at(model, 120).kind() == "shmem");
  CHECK(file_at(model, 120).path().path() == "/memfd:sealed");
  CHECK(file_at(model, 130).kind() == "chardev");
  CHECK(file_at(model, 140).path().path() ==
        fmt::format("/tmp/oracle-{} (deleted)", target.pid()));  // one suffix is the name's own
  CHECK(file_at(model, 140).path().deleted());
  CHECK(file_at(model, 150).kind() == "regular");
}

TEST_CASE("files of proc, and whom they show") {
  Target target([] {
    const pid_t dead = ::fork();
    if (dead == 0) {
      ::close(Target::ready_fd);
      for (;;) ::pause();
    }
    const std::string of_dead = "/proc/" + std::to_string(dead) + "/mountinfo";
    ::dup2(::open(of_dead.c_str(), O_RDONLY), 100);
    ::kill(dead, SIGKILL);
    ::waitpid(dead, nullptr, 0);
    ::dup2(::open("/proc/self/status", O_RDONLY), 101);
    ::dup2(::open("/proc/thread-self/comm", O_RDONLY), 102);
    ::dup2(::open("/proc/self/fdinfo/0", O_RDONLY), 103);
    ::dup2(::open("/proc/1", O_PATH | O_DIRECTORY), 104);
    ::dup2(::open("/proc/sys/kernel/ostype", O_RDONLY), 105);
    ::dup2(::open("/proc", O_RDONLY | O_DIRECTORY), 106);
    ::dup2(::open("/proc/self/net/dev", O_RDONLY), 107);
  });
  const auto model = model_of(target.pid());
  auto shown = [&](std::uint32_t fd) {
    const auto& file = file_at(model, fd);
    CHECK(file.kind() == "procfs");
    CHECK(file.path().path() == target.link("fd/" + std::to_string(fd)));
    bpfckpt::pb::ProcFile detail;
    REQUIRE(file.detail().UnpackTo(&detail));
    CHECK(detail.obstacle().empty());
    return detail;
  };
  using bpfckpt::pb::ProcFile;
  const auto own = static_cast<std::uint32_t>(target.pid());
  CHECK(shown(100).owner() == ProcFile::GONE);
  CHECK(file_at(model, 100).path().path() == fmt::format("/proc/{}/mountinfo", shown(100).process()));
  for (std::uint32_t fd : {101u, 102u, 103u, 107u}) {
    CHECK(shown(fd).owner() == ProcFile::TREE);
    CHECK(shown(fd).process() == own);
    CHECK(shown(fd).of_descriptor() == (fd == 103));
  }
  CHECK(shown(104).owner() == ProcFile::OUTSIDE);
  CHECK(shown(104).process() == 1);
  for (std::uint32_t fd : {105u, 106u}) CHECK(shown(fd).owner() == ProcFile::NOBODY);
}

TEST_CASE("advice on files") {
  Target target([] {
    char name[] = "/tmp/oracle-files-XXXXXX";
    ::dup2(::mkstemp(name), 100);
    for (int fd = 101; fd <= 104; fd++) ::dup2(::open(name, O_RDONLY), fd);
    ::unlink(name);
    ::posix_fadvise(101, 0, 0, POSIX_FADV_RANDOM);
    ::posix_fadvise(102, 0, 0, POSIX_FADV_SEQUENTIAL);
    ::posix_fadvise(103, 0, 0, POSIX_FADV_NOREUSE);
    std::uint64_t hint = RWH_WRITE_LIFE_EXTREME;
    ::fcntl(104, F_SET_RW_HINT, &hint);
  });
  const auto model = model_of(target.pid());
  auto advice = [&](std::uint32_t fd) {
    bpfckpt::pb::RegularFile detail;
    REQUIRE(file_at(model, fd).detail().UnpackTo(&detail));
    CHECK(detail.write_hint() == RWH_WRITE_LIFE_EXTREME);  // the inode's
    return detail;
  };
  struct statfs system;
  REQUIRE(::statfs(target.proc("fd/102").c_str(), &system) == 0);
  // There is nothing to be read ahead on tmpfs, which takes no advice (mm/fadvise.c:generic_fadvise()); and
  // nothing to double on others without a device.
  struct stat facts;
  REQUIRE(::stat(target.proc("fd/102").c_str(), &facts) == 0);
  const bool takes_advice = system.f_type != TMPFS_MAGIC;
  CHECK(advice(100).read_ahead() == POSIX_FADV_NORMAL);
  CHECK(advice(101).read_ahead() == (takes_advice ? POSIX_FADV_RANDOM : POSIX_FADV_NORMAL));
  CHECK(advice(102).read_ahead() == (major(facts.st_dev) == 0 ? POSIX_FADV_NORMAL : POSIX_FADV_SEQUENTIAL));
  CHECK(advice(103).no_reuse() == takes_advice);
  CHECK(!advice(104).no_reuse());
}

TEST_CASE("ten thousand descriptors") {
  Target target([] {
    rlimit limit;
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 10000; ++i) ::open(i % 2 ? "/dev/null" : "/proc/self/exe", O_RDONLY);
  });
  auto model = model_of(target.pid());
  CHECK(static_cast<std::size_t>(model.files.tables(0).entries_size()) == fds_of(target).size());
  compare(target, model);
}
