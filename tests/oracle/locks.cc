// SPDX-License-Identifier: Apache-2.0
// Locks and leases against the lock lines of /proc/PID/fdinfo.
#include <sys/file.h>

#include <filesystem>
#include <set>

#include "oracle/target.h"

using namespace oracle;

namespace {

constexpr int kRanges = 700;  // more than one reading of the collector brings

std::string open_new(const char* directory, const char* name, int as, int flags) {
  const std::string path = std::string(directory) + "/" + name;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
  ::close(fd);
  const int wanted = ::open(path.c_str(), flags);
  ::dup2(wanted, as);
  ::close(wanted);
  return path;
}

void lock(int fd, int command, int type, off_t start, off_t len) {
  struct flock range{};
  range.l_type = static_cast<short>(type);
  range.l_start = start;
  range.l_len = len;
  ::fcntl(fd, command, &range);
}

// "POSIX ADVISORY WRITE 4711 0 9"; fs/locks.c:lock_get_status() without the inode.
std::string as_fdinfo(const bpfckpt::pb::FileLock& lock) {
  constexpr const char* kKinds[] = {"POSIX ADVISORY", "OFDLCK ADVISORY", "FLOCK ADVISORY", "LEASE"};
  std::string kind = kKinds[lock.kind()];
  const bool broken = lock.broken_by_reader() || lock.broken_by_writer();
  std::string type = lock.type() == F_WRLCK ? "WRITE" : "READ";
  if (lock.kind() == bpfckpt::pb::LOCK_LEASE) {
    kind += broken ? " BREAKING" : " ACTIVE";
    if (broken) type = lock.broken_by_writer() ? "UNLCK" : "READ";
  }
  const std::string pid = lock.kind() == bpfckpt::pb::LOCK_OPEN_FILE ? "-1" : std::to_string(lock.pid());
  const bool ranges = lock.kind() == bpfckpt::pb::LOCK_POSIX || lock.kind() == bpfckpt::pb::LOCK_OPEN_FILE;
  return fmt::format("{} {} {} {} {}", kind, type, pid, lock.start(),
                     !ranges || lock.end() == INT64_MAX ? "EOF" : std::to_string(lock.end()));
}

// "lock:\t1: POSIX  ADVISORY  WRITE 4711 08:01:77 0 9", brought into the same form.
std::string reduced(const std::string& line) {
  std::istringstream words(line);
  std::string word, text;
  for (int i = 0; words >> word; i++) {
    if (word == "lock:" || word.ends_with(":") || word.find(':') != std::string::npos) continue;
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

}  // namespace

TEST_CASE("locks and leases, as fdinfo shows them") {
  char directory[] = "/tmp/oracle-locks-XXXXXX";
  REQUIRE(::mkdtemp(directory) != nullptr);
  Target target([&] {
    ::signal(SIGIO, SIG_IGN);
    open_new(directory, "posix", 100, O_RDWR);
    for (int i = 0; i < kRanges; ++i) lock(100, F_SETLK, i % 2 ? F_WRLCK : F_RDLCK, i * 10, 1 + i % 10);
    lock(100, F_SETLK, F_WRLCK, 100000, 0);
    open_new(directory, "open-file", 101, O_RDWR);
    lock(101, F_OFD_SETLK, F_WRLCK, 5, 10);
    lock(101, F_OFD_SETLK, F_RDLCK, 50, 0);
    lock(101, F_SETLK, F_RDLCK, 20, 5);
    open_new(directory, "flock", 102, O_RDONLY);
    ::flock(102, LOCK_SH);
    open_new(directory, "exclusive", 103, O_RDONLY);
    ::flock(103, LOCK_EX);
    open_new(directory, "lease", 104, O_RDONLY);
    ::fcntl(104, F_SETLEASE, F_RDLCK);
    for (int fd : {105, 106}) {
      const std::string path = open_new(directory, fd == 105 ? "read" : "written", fd, O_RDWR);
      ::fcntl(fd, F_SETLEASE, F_WRLCK);
      ::open(path.c_str(), (fd == 105 ? O_RDONLY : O_WRONLY) | O_NONBLOCK);
    }
    // A second opening, by which nothing was taken.
    ::dup2(::open((std::string(directory) + "/posix").c_str(), O_RDONLY), 107);
  });
  const auto model = model_of(target.pid());
  std::map<std::uint32_t, std::uint32_t> files;
  for (const auto& entry : model.files.tables(0).entries()) files[entry.fd()] = entry.file_id();
  for (std::uint32_t fd = 100; fd <= 106; ++fd) {
    CAPTURE(fd);
    std::multiset<std::string> expected, seen;
    for (const std::string& line : target.lines("fdinfo/" + std::to_string(fd)))
      if (line.starts_with("lock:")) expected.insert(reduced(line));
    for (const auto& lock : model.files.locks())
      if (lock.file_id() == files[fd]) {
        seen.insert(as_fdinfo(lock));
        CHECK(lock.fd() == (lock.kind() == bpfckpt::pb::LOCK_LEASE ? fd : 0));
        CHECK(!lock.has_waiter());
        CHECK(lock.outside_holders() == 0);
      }
    CHECK(!expected.empty());
    CHECK(seen == expected);
  }
  for (const auto& lock : model.files.locks()) CHECK(lock.file_id() != files[107]);
  std::filesystem::remove_all(directory);
}
