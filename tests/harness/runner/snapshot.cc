// SPDX-License-Identifier: Apache-2.0
#include "harness/runner/snapshot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "harness/runner/process.h"

namespace runner {

namespace {

// Numbers objects in the order they are first met.
class Renumber {
 public:
  std::string operator()(const std::string& object) {
    return fmt::format("#{}", numbers_.try_emplace(object, numbers_.size() + 1).first->second);
  }

 private:
  std::map<std::string, std::size_t> numbers_;
};

constexpr std::array kVolatileStatus = {
    "Ngid",
    "FDSize",
    "VmPeak",
    "VmHWM",
    "VmRSS",
    "SigQ",
    "RssAnon",
    "RssFile",
    "RssShmem",
    "VmPTE",
    "VmSwap",
    "State",
    "voluntary_ctxt_switches",
    "nonvoluntary_ctxt_switches",
};

// /proc/PID/stat by proc(5)'s numbers, from field 3 on.
constexpr std::array<std::pair<int, const char*>, 25> kStatFields = {{
    {4, "ppid"},        {5, "pgrp"},         {6, "session"},      {7, "tty"},          {8, "tpgid"},
    {18, "priority"},   {19, "nice"},        {20, "threads"},     {25, "rsslim"},      {26, "start_code"},
    {27, "end_code"},   {28, "start_stack"}, {38, "exit_signal"}, {40, "rt_priority"}, {41, "policy"},
    {45, "start_data"}, {46, "end_data"},    {47, "start_brk"},   {48, "arg_start"},   {49, "arg_end"},
    {50, "env_start"},  {51, "env_end"},     {52, "exit_code"},   {31, "pending"},     {32, "blocked"},
}};

// The last name of a deleted file may belong to another file by now; then it comes back under one beside it.
std::string without_ghost_suffix(const std::string& path) {
  const std::size_t suffix = path.rfind(".bpfckpt-");
  if (suffix == std::string::npos || !path.ends_with(" (deleted)")) return path;
  return path.substr(0, suffix) + " (deleted)";
}

std::string read_link(const std::string& path) {
  char buffer[4096];
  const ssize_t n = ::readlink(path.c_str(), buffer, sizeof(buffer));
  return n < 0 ? std::string("-") : without_ghost_suffix(std::string(buffer, n));
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const unsigned char c : bytes) {
    if (c == 0)
      out += ' ';
    else if (c >= 0x20 && c < 0x7f)
      out += static_cast<char>(c);
    else
      out += fmt::format("\\x{:02x}", c);
  }
  return out;
}

// Nameless objects: their numbers are new after a restore.
bool is_nameless(std::string_view link) {
  return !link.starts_with("/") || link.ends_with(" (deleted)") || link.starts_with("/memfd:") ||
         link.starts_with("/SYSV");
}

// A worker of an io_uring, which the kernel makes as it likes: PF_IO_WORKER in the flags.
bool is_kernel_worker(const std::string& stat) {
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  std::string skipped;
  unsigned long flags = 0;
  for (int i = 0; i < 6; i++) fields >> skipped;
  fields >> flags;
  return (flags & 0x10) != 0;
}

class Taker {
 public:
  explicit Taker(const std::vector<pid_t>& pids) : pids_(pids) {}

  Snapshot take() {
    std::string all;
    for (const pid_t pid : pids_) all += fmt::format("{} ", pid);
    snapshot_.facts["processes"] = all;
    for (const pid_t pid : pids_) process(pid);
    return std::move(snapshot_);
  }

 private:
  struct Description {
    pid_t pid;
    int fd;
    std::string group;
  };

  void fact(const std::string& key, std::string value) { snapshot_.facts[key] = std::move(value); }

  void process(pid_t pid) {
    const std::string proc = fmt::format("/proc/{}", pid);
    std::vector<int> tids = numeric_entries(proc + "/task");
    std::erase_if(tids, [&](int tid) {
      return is_kernel_worker(read_file(fmt::format("{}/task/{}/stat", proc, tid)));
    });
    std::string threads;
    for (const int tid : tids) threads += fmt::format("{} ", tid);
    fact(fmt::format("{}/tids", pid), threads);
    snapshot_.threads[pid] = static_cast<int>(tids.size());
    for (const int tid : tids) thread(pid, tid);
    if (snapshot_.facts[fmt::format("{}/thread/{}/stat/state", pid, pid)] == "Z" && tids.size() == 1) return;

    for (const char* name :
         {"cmdline", "environ", "auxv", "limits", "personality", "oom_score_adj", "coredump_filter", "cgroup",
          "cpuset", "uid_map", "gid_map", "setgroups", "timers", "timens_offsets"}) {
      std::string text = read_file(proc + "/" + name);
      if (std::string_view(name) == "auxv") text = auxv(text);
      fact(fmt::format("{}/{}", pid, name), hex(text));
    }
    for (const char* name : {"cwd", "root", "exe"}) {
      fact(fmt::format("{}/{}", pid, name), read_link(proc + "/" + name));
    }
    struct stat st{};
    // Files of /proc/PID belong to root unless the process is dumpable.
    if (::stat((proc + "/environ").c_str(), &st) == 0)
      fact(fmt::format("{}/proc_owner", pid), fmt::format("{}:{}", st.st_uid, st.st_gid));
    for (const char* name : {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time",
                             "time_for_children", "user", "uts"}) {
      fact(fmt::format("{}/ns/{}", pid, name), read_link(fmt::format("{}/ns/{}", proc, name)));
    }
    sharing(pid, pid);
    files(pid);
    maps(pid);
  }

  static std::string auxv(const std::string& bytes) {
    std::string text;
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, 8);
      text += fmt::format("{:x} ", word);
    }
    return text;
  }

  void thread(pid_t pid, pid_t tid) {
    const std::string proc = fmt::format("/proc/{}/task/{}", pid, tid);
    const std::string key = fmt::format("{}/thread/{}", pid, tid);
    stat_fields(key, read_file(proc + "/stat"));
    const bool zombie = snapshot_.facts[key + "/stat/state"] == "Z";
    std::istringstream status(read_file(proc + "/status"));
    for (std::string line; std::getline(status, line);) {
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      const std::string name = line.substr(0, colon);
      if (zombie && name.starts_with("Sig")) continue;  // nothing will ever be delivered to it
      if (std::find(kVolatileStatus.begin(), kVolatileStatus.end(), name) != kVolatileStatus.end()) continue;
      fact(fmt::format("{}/status/{}", key, name), line.substr(colon + 1));
    }
    if (zombie) {
      snapshot_.facts.erase(key + "/stat/blocked");
      snapshot_.facts.erase(key + "/stat/pending");
      return;
    }
    fact(key + "/comm", read_file(proc + "/comm"));
    fact(key + "/security", read_file(proc + "/attr/current"));
    fact(key + "/timerslack", read_file(fmt::format("/proc/{}/timerslack_ns", tid)));
    fact(key + "/ioprio", fmt::format("{}", ::syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, tid)));
    fact(key + "/scheduler", fmt::format("{:#x}", ::sched_getscheduler(tid)));
    void* head = nullptr;
    std::size_t len = 0;
    ::syscall(SYS_get_robust_list, tid, &head, &len);
    fact(key + "/robust_list", fmt::format("{} {}", head, len));
    if (tid != pid) sharing(pid, tid);
  }

  void stat_fields(const std::string& key, const std::string& stat) {
    const std::size_t end = stat.rfind(')');
    if (end == std::string::npos) {
      fact(key + "/stat/state", "gone");
      return;
    }
    std::istringstream in(stat.substr(end + 2));
    std::vector<std::string> fields{"", "", ""};
    for (std::string field; in >> field;) fields.push_back(field);
    const std::string& state = fields[3];
    fact(key + "/stat/state", state == "R" || state == "D" ? "S" : state);
    for (const auto& [number, name] : kStatFields) {
      if (static_cast<std::size_t>(number) < fields.size()) fact(key + "/stat/" + name, fields[number]);
    }
  }

  static bool same(pid_t a, pid_t b, int type, unsigned long first, unsigned long second) {
    return ::syscall(SYS_kcmp, a, b, type, first, second) == 0;
  }

  // Which earlier task this one shares each of its resources with.
  void sharing(pid_t pid, pid_t tid) {
    const std::string key = tid == pid ? fmt::format("{}", pid) : fmt::format("{}/thread/{}", pid, tid);
    for (const auto& [type, name] : {std::pair{KCMP_VM, "vm"},
                                     {KCMP_FILES, "files"},
                                     {KCMP_FS, "fs"},
                                     {KCMP_SIGHAND, "sighand"},
                                     {KCMP_SYSVSEM, "sysvsem"}}) {
      std::string with = "-";
      for (const pid_t earlier : sharers_[type]) {
        if (!same(earlier, tid, type, 0, 0)) continue;
        with = fmt::format("{}", earlier);
        break;
      }
      // A thread that shares with its leader, as is the rule, needs not be searched for by others.
      if (with == "-") sharers_[type].push_back(tid);
      fact(fmt::format("{}/shares/{}", key, name), with);
    }
  }

  void files(pid_t pid) {
    const std::string proc = fmt::format("/proc/{}", pid);
    for (const int fd : numeric_entries(proc + "/fd")) {
      const std::string key = fmt::format("{}/fd/{}", pid, fd);
      const std::string path = fmt::format("{}/fd/{}", proc, fd);
      const std::string link = read_link(path);
      struct stat st{};
      ::stat(path.c_str(), &st);
      const std::string object = object_id(link, st.st_dev, st.st_ino);
      const std::size_t bracket = link.find(":[");
      fact(key + "/link", is_nameless(link) && bracket != std::string::npos && !link.starts_with("anon_inode")
                              ? link.substr(0, bracket)
                              : link);
      fact(key + "/object", object);
      // The root of proc has as many links as there are processes.
      const nlink_t links = link == "/proc" ? 0 : st.st_nlink;
      fact(key + "/inode", fmt::format("mode {:o} uid {} gid {} links {} size {} rdev {:x}", st.st_mode,
                                       st.st_uid, st.st_gid, links, st.st_size, st.st_rdev));
      std::multiset<std::string> targets;
      std::istringstream info(read_file(fmt::format("{}/fdinfo/{}", proc, fd)));
      for (std::string line; std::getline(info, line);) {
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos || line.starts_with("ino:")) continue;
        if (line.starts_with("tfd:")) {  // in the order of addresses; position and inode are the target's
          targets.insert(line.substr(0, line.find(" pos:")));
          continue;
        }
        if (line.starts_with("inotify ") || line.starts_with("fanotify ")) {  // the newest first
          targets.insert(line);
          continue;
        }
        std::string value = line.substr(colon + 1);
        // A number that the kernel gives to each new one.
        if (line.starts_with("eventfd-id:")) value = renumber_("eventfd" + value);
        if (is_nameless(link) && line.starts_with("flags:")) value = without_opening_flags(value);
        fact(fmt::format("{}/{}", key, line.substr(0, colon)), value);
      }
      int number = 0;
      for (const std::string& target : targets) fact(fmt::format("{}/target/{}", key, number++), target);
      fact(key + "/description", description(pid, fd, object));
    }
  }

  // On 64-bit kernels every open(2) sets O_LARGEFILE, pipe2(2) does not, and it means nothing. O_NOFOLLOW and
  // O_TMPFILE said how a file was found that has no name any more.
  static std::string without_opening_flags(const std::string& octal) {
    constexpr unsigned long kLargeFile = 0100000;
    return fmt::format("{:o}",
                       std::strtoul(octal.c_str(), nullptr, 8) & ~(kLargeFile | O_NOFOLLOW | O_TMPFILE));
  }

  // Which earlier descriptor is the same file description.
  std::string description(pid_t pid, int fd, const std::string& object) {
    std::vector<Description>& known = descriptions_[object];
    for (const Description& other : known) {
      if (same(other.pid, pid, KCMP_FILE, other.fd, fd)) return other.group;
    }
    known.push_back({pid, fd, fmt::format("{}/{}", pid, fd)});
    return known.back().group;
  }

  std::string object_id(const std::string& link, dev_t dev, ino_t ino) {
    const std::string exact = fmt::format("{:x}:{:x}:{}", major(dev), minor(dev), ino);
    return is_nameless(link) ? renumber_(exact) : exact;
  }

  struct Area {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t offset = 0;
    bool backed = false;
    bool shared = false;
    std::string path;
    std::string what;  // all that must be equal for two neighbours to count as one
  };

  void maps(pid_t pid) {
    std::vector<Area> areas;
    std::istringstream smaps(read_file(fmt::format("/proc/{}/smaps", pid)));
    for (std::string line; std::getline(smaps, line);) {
      if (line.starts_with("VmFlags:")) {
        if (!areas.empty()) areas.back().what += flags(line.substr(8));
      } else if (std::optional<Area> area = header(line)) {
        areas.push_back(*area);
      }
    }
    Area merged;
    for (const Area& area : areas) {
      if (area.start == merged.end && area.what == merged.what && !area.path.starts_with("[v") &&
          (!area.backed || area.offset == merged.offset + (merged.end - merged.start))) {
        merged.end = area.end;
        continue;
      }
      note(pid, merged);
      merged = area;
    }
    note(pid, merged);
    for (const Area& area : areas) contents(pid, area);
  }

  void note(pid_t pid, const Area& area) {
    if (area.end == 0) return;
    fact(fmt::format("{}/map/{:x}-{:x}", pid, area.start, area.end),
         area.backed ? fmt::format("{} offset {:x}", area.what, area.offset) : area.what);
  }

  // Soft-dirty is a measurement of ours, not of the program.
  static std::string flags(const std::string& text) {
    std::istringstream in(text);
    std::string out;
    for (std::string flag; in >> flag;) {
      if (flag != "sd") out += " " + flag;
    }
    return out;
  }

  // "start-end perms offset dev inode path"
  std::optional<Area> header(const std::string& line) {
    Area area;
    char perms[8];
    unsigned int dev_major = 0, dev_minor = 0;
    unsigned long inode = 0;
    int path_at = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %7s %lx %x:%x %lu %n", &area.start, &area.end, perms, &area.offset,
                    &dev_major, &dev_minor, &inode, &path_at) < 7) {
      return std::nullopt;
    }
    if (path_at > 0) area.path = without_ghost_suffix(line.substr(path_at));
    area.backed = inode != 0;
    area.shared = perms[3] == 's';
    // The number of a socket's inode is in its name, and is the kernel's to give.
    area.what = fmt::format("{} {}", perms, area.path.starts_with("socket:[") ? "socket" : area.path);
    if (area.backed) area.what += " " + object_id(area.path, makedev(dev_major, dev_minor), inode);
    return area;
  }

  // Bytes of pages that belong to the process itself. The main stack is left out: its owner is polling on it.
  void contents(pid_t pid, const Area& area) {
    constexpr std::uint64_t kLargest = 64 << 20;
    constexpr std::uint64_t kPage = 4096;
    if (area.path.starts_with("[v") || area.path == "[stack]" || area.shared) return;
    if (area.end - area.start > kLargest) return;
    const int pagemap = ::open(fmt::format("/proc/{}/pagemap", pid).c_str(), O_RDONLY | O_CLOEXEC);
    const int mem = ::open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDONLY | O_CLOEXEC);
    std::vector<std::uint64_t> entries((area.end - area.start) / kPage);
    const ssize_t got = ::pread(pagemap, entries.data(), entries.size() * 8, area.start / kPage * 8);
    constexpr std::uint64_t kPresent = 1ULL << 63, kSwapped = 1ULL << 62, kFile = 1ULL << 61;
    std::string page(kPage, '\0');
    for (std::size_t i = 0; i * 8 < static_cast<std::size_t>(std::max<ssize_t>(got, 0)); ++i) {
      if ((entries[i] & (kPresent | kSwapped)) == 0 || (entries[i] & kFile) != 0) continue;
      const std::uint64_t address = area.start + i * kPage;
      if (::pread(mem, page.data(), kPage, address) != static_cast<ssize_t>(kPage)) continue;
      if (page.find_first_not_of('\0') != std::string::npos) snapshot_.pages[pid][address] = page;
    }
    ::close(pagemap);
    ::close(mem);
  }

  const std::vector<pid_t>& pids_;
  Snapshot snapshot_;
  Renumber renumber_;
  std::map<int, std::vector<pid_t>> sharers_;
  std::map<std::string, std::vector<Description>> descriptions_;
};

}  // namespace

Snapshot take_snapshot(const std::vector<pid_t>& pids) {
  return Taker(pids).take();
}

}  // namespace runner
