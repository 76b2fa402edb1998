// SPDX-License-Identifier: Apache-2.0
#include "restore/checks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "base/fd.h"
#include "images/kinds/regular.pb.h"
#include "kernel/cpu.h"
#include "kinds/marks.h"
#include "kinds/names.h"
#include "kinds/procfs.h"
#include "target/arch.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kLargestOffset = (std::uint64_t{1} << 63) - 1;

// A zombie holds its number, too; so does the group of a dead leader while a member lives.
bool taken(std::uint32_t number) {
  auto pid = static_cast<pid_t>(number);
  return ::kill(pid, 0) == 0 || errno == EPERM || ::kill(-pid, 0) == 0 || errno == EPERM;
}

// Whether the number, which is taken, is so by a zombie, or only as a group whose leader is gone: it can get
// free without anybody's doing.
bool held_by_dead(std::uint32_t number) {
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(number), 0)));
  if (!process) return errno == ESRCH;  // EINVAL, ENOENT: a thread
  pollfd exited{process.get(), POLLIN, 0};
  return ::poll(&exited, 1, 0) == 1;
}

std::string join(const std::vector<std::string>& words, const char* between) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : between) + word;
  return line;
}

struct Expected {
  std::uint32_t mode = 0;
  std::uint32_t rdev = 0;
  const std::uint64_t* size = nullptr;  // null: any
  bool permissions = false;
};

// Empty: all is as it was; else what is not.
std::string compare(const std::string& path, const Expected& expected) {
  struct stat st;
  bool link = S_ISLNK(expected.mode);
  if ((link ? ::lstat(path.c_str(), &st) : ::stat(path.c_str(), &st)) != 0) return std::strerror(errno);
  if ((st.st_mode & S_IFMT) != (expected.mode & S_IFMT)) return "is of another type";
  if ((S_ISCHR(expected.mode) || S_ISBLK(expected.mode)) && st.st_rdev != expected.rdev)
    return "is another device";
  if (expected.size != nullptr && S_ISREG(expected.mode) &&
      static_cast<std::uint64_t>(st.st_size) != *expected.size)
    return fmt::format("has {} bytes, had {}", st.st_size, *expected.size);
  if (expected.permissions && (st.st_mode & 07777) != (expected.mode & 07777))
    return fmt::format("has mode {:o}, had {:o}", st.st_mode & 07777, expected.mode & 07777);
  return "";
}

// The other name of a file that lost its own; empty: it is none.
std::string linked_path(const pb::FileObject& object) {
  pb::LinkedFile linked;
  if (!object.detail().UnpackTo(&linked)) return "";
  return linked.path();
}

// Empty: nobody is in the way. `fd` is an opening of ours, which holds nothing.
std::string holder_of(int fd, const pb::FileLock& lock) {
  if (lock.kind() == pb::LOCK_FLOCK) {
    if (::flock(fd, (lock.type() == F_WRLCK ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) {
      ::flock(fd, LOCK_UN);
      return "";
    }
    return errno == EWOULDBLOCK ? "it is locked by flock(2) of another process" : "";
  }
  if (lock.kind() == pb::LOCK_LEASE) {
    if (::fcntl(fd, F_SETLEASE, lock.type()) == 0) {
      ::fcntl(fd, F_SETLEASE, F_UNLCK);
      return "";
    }
    return errno == EAGAIN ? "its lease cannot be had: another process has it open" : "";
  }
  struct flock range{};
  range.l_type = static_cast<short>(lock.type());
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(lock.start());
  range.l_len = lock.end() >= kLargestOffset ? 0 : static_cast<off_t>(lock.end() - lock.start() + 1);
  if (::fcntl(fd, F_OFD_GETLK, &range) != 0 || range.l_type == F_UNLCK) return "";
  return fmt::format("bytes from {} on are locked by {}", static_cast<std::uint64_t>(range.l_start),
                     range.l_pid > 0 ? fmt::format("pid {}", range.l_pid) : "another process");
}

// Is it found by its name, and must then be what it was?
bool found_by_name(const pb::File& file, const ModelIndex& index) {
  if (file.kind() == "procfs") return kinds::outlives_tree(file);
  const pb::FileObject* object = index.object(file.object_id());
  if (object != nullptr && !linked_path(*object).empty()) return true;
  const std::string& path = file.path().path();
  if (path.empty() || path.front() != '/' || file.path().deleted()) return false;
  if (file.kind() == "pipe" || file.kind() == "chardev" || file.kind() == "blockdev" || file.kind() == "tun")
    return true;
  return file.kind() == "regular" &&
         object == nullptr;  // with an object, its bytes travel with the checkpoint
}

// What is watched by name: must be there, as what it was.
Result<void> check_watched(const pb::File& file, std::map<std::string, std::string>& wrong) {
  const kinds::Watcher* watcher = kinds::find_watcher(file.kind());
  if (watcher == nullptr) return {};
  pb::File copy = file;
  return watcher->for_each_target(copy, [&](pb::MarkTarget& target) {
    if (target.path().empty() || target.file_id() != 0) return;
    struct stat st;
    if (::lstat(target.path().c_str(), &st) != 0)
      wrong.emplace(target.path(), fmt::format("{}, and it is watched", std::strerror(errno)));
    else if (target.type() == pb::MARK_INODE && (st.st_mode & S_IFMT) != (target.mode() & S_IFMT))
      wrong.emplace(target.path(), "is of another type, and it is watched");
  });
}

}  // namespace

Result<void> check_pids_free(const Model& model) {
  std::set<std::uint32_t> numbers;
  for (const pb::Process& process : model.tasks.processes()) {
    numbers.insert(process.pid());
    for (const pb::Thread& thread : process.threads()) numbers.insert(thread.tid());
  }
  for (const pb::File& file : model.files.files())
    if (std::uint32_t number = kinds::process_to_stand_in_for(file); number != 0) numbers.insert(number);
  // A tree that was killed just now holds its numbers until its parents have waited for it; the orphans among
  // it wait for init, and one that only polls was seen to take 1.5 s.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (;;) {
    std::vector<std::string> in_use;
    bool all_dead = true;
    for (std::uint32_t number : numbers) {
      if (!taken(number)) continue;
      in_use.push_back(std::to_string(number));
      all_dead = all_dead && held_by_dead(number);
    }
    if (in_use.empty()) return {};
    if (!all_dead || std::chrono::steady_clock::now() >= deadline)
      return fail(Error::conflict(fmt::format("these pids are taken: {}", join(in_use, ", "))));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

Result<void> check_files(const Model& model, bool permissions, const std::vector<std::uint32_t>& except) {
  std::map<std::string, std::string> wrong;
  const ModelIndex index(model);
  for (const pb::File& file : model.files.files()) {
    if (!found_by_name(file, index) || std::ranges::find(except, file.id()) != except.end()) continue;
    const pb::FileObject* object = index.object(file.object_id());
    std::string path = object == nullptr ? "" : linked_path(*object);
    if (path.empty()) path = file.path().path();
    std::uint64_t size = file.inode().size();
    Expected expected{file.inode().mode(), file.inode().rdev(), &size, permissions};
    if (file.kind() == "procfs") expected = {file.inode().mode(), 0, nullptr, false};
    std::string what = compare(path, expected);
    if (!what.empty()) wrong.emplace(path, what);
  }
  for (const pb::File& file : model.files.files())
    if (std::ranges::find(except, file.id()) == except.end()) TRY(check_watched(file, wrong));
  for (const pb::FsContext& fs : model.tasks.fs_contexts())
    for (const pb::Path* place : {&fs.cwd(), &fs.root()}) {
      if (place->path().empty() || place->deleted()) continue;
      std::string what = compare(place->path(), {S_IFDIR, 0, nullptr, false});
      if (!what.empty()) wrong.emplace(place->path(), what);
    }
  if (wrong.empty()) return {};
  std::vector<std::string> lines;
  for (auto& [path, what] : wrong) lines.push_back(fmt::format("{}: {}", path, what));
  return fail(Error::conflict(join(lines, "\n")));
}

Result<void> check_cpu(const pb::CpuFeatures& there, const CpuCheck& check) {
  if (there.cpuid_size() == 0) return {};
  const kernel::CpuFeatures had{
      {there.cpuid().begin(), there.cpuid().end()}, there.xfeatures(), there.xsave_size()};
  const kernel::CpuFeatures here = kernel::cpu_features();
  std::vector<std::string> missing;
  if (check.instructions) missing = kernel::missing_instructions(had, here);
  if (check.state)
    for (std::string& name : kernel::missing_state(had, here)) missing.push_back(std::move(name));
  if (check.exact && !kernel::same_model(had, here)) missing.emplace_back("the same model");
  if (missing.empty()) return {};
  return fail(Error::conflict(fmt::format(
      "this CPU lacks what the one of the checkpoint had: {} (--cpu-cap=none restores nevertheless)",
      join(missing, ", "))));
}

Result<void> check_outside_vdso(const Model& model) {
  ModelIndex index(model);
  for (const pb::Process& process : model.tasks.processes()) {
    const pb::AddressSpace* mm = index.address_space(process.mm_id());
    if (mm == nullptr || process.state() == pb::ZOMBIE) continue;
    auto vdso = std::ranges::find_if(
        mm->vmas(), [](const pb::Vma& vma) { return vma.kind() == pb::SPECIAL && vma.name() == "[vdso]"; });
    if (vdso == mm->vmas().end()) continue;
    for (const pb::Thread& thread : process.threads()) {
      if (thread.exited()) continue;
      target::Registers registers;
      std::memcpy(&registers, thread.registers().data(), sizeof registers);  // size: validate()
      const std::uint64_t at = target::arch::program_counter(registers).value();
      if (at >= vdso->start() && at < vdso->end())
        return fail(Error::conflict(
            fmt::format("pid {}: thread {} was taken while it ran code of its kernel (the vDSO), and this "
                        "kernel has another one",
                        process.pid(), thread.tid())));
    }
  }
  return {};
}

Result<void> check_locks(const Model& model, const std::vector<std::uint32_t>& except) {
  ModelIndex index(model);
  std::map<std::uint32_t, Fd> opened;  // by file id
  std::map<std::string, std::string> wrong;
  for (const pb::FileLock& lock : model.files.locks()) {
    const pb::File* file = index.file(lock.file_id());
    if (file->kind() != "regular" || !found_by_name(*file, index)) continue;
    if (wrong.contains(file->path().path()) || std::ranges::find(except, file->id()) != except.end())
      continue;
    auto [it, fresh] = opened.try_emplace(file->id());
    // A reader breaks the fewest leases, and waits for none.
    if (fresh) it->second.reset(::open(file->path().path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!it->second) continue;  // the restore's own opening will tell
    if (std::string holder = holder_of(it->second.get(), lock); !holder.empty())
      wrong.emplace(file->path().path(), holder);
  }
  if (wrong.empty()) return {};
  std::vector<std::string> lines;
  for (auto& [path, holder] : wrong) lines.push_back(fmt::format("{}: {}", path, holder));
  return fail(Error::conflict(join(lines, "\n")));
}

}  // namespace bpfckpt::restore
