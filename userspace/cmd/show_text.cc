// SPDX-License-Identifier: Apache-2.0
#include "cmd/show_text.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "cmd/mapped_objects.h"
#include "cmd/text.h"
#include "model/details.h"

namespace bpfckpt {
namespace {

constexpr std::string_view kHeadings[] = {"anonymous", "file, private", "file, shared", "anonymous, shared",
                                          "special"};

std::string signal_name(std::uint32_t signal) {
  const char* name = sigabbrev_np(static_cast<int>(signal));
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

std::string plural(std::size_t n, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", n, n == 1 ? one : many);
}

std::string path_of(const pb::File& file) {
  std::string path = printable(file.path().path());
  if (file.path().deleted()) path += " (deleted)";
  if (path.empty() && !file.operations().empty()) path = printable(file.operations());
  return path;
}

// O_ACCMODE and the flags that F_GETFL shows and people care about.
std::string access_of(std::uint32_t flags) {
  if ((flags & O_PATH) != 0) return "path";
  constexpr std::array kModes = {"r", "w", "rw", "-"};
  std::string text = kModes[flags & O_ACCMODE];
  constexpr std::pair<int, std::string_view> kFlags[] = {{O_APPEND, "append"},
                                                         {O_NONBLOCK, "nonblock"},
                                                         {O_DIRECT, "direct"},
                                                         {O_ASYNC, "async"},
                                                         {O_DSYNC, "sync"}};
  for (const auto& [bit, name] : kFlags)
    if ((flags & static_cast<std::uint32_t>(bit)) != 0) text += fmt::format(",{}", name);
  return text;
}

// Bits of vm_flags as include/linux/mm.h numbers them; the low 32 are the same on 6.1 to 7.3.
std::string protection_of(const pb::Vma& vma) {
  std::uint64_t flags = vma.flags();
  std::string text = "---p";
  if ((flags & 1) != 0) text[0] = 'r';
  if ((flags & 2) != 0) text[1] = 'w';
  if ((flags & 4) != 0) text[2] = 'x';
  if ((flags & 8) != 0) text[3] = 's';
  return text;
}

std::string advice_of(const pb::Vma& vma) {
  constexpr std::pair<std::uint64_t, std::string_view> kFlags[] = {
      {0x2000, "locked"},       {0x8000, "sequential"},     {0x10000, "random"},
      {0x20000, "dontfork"},    {0x2000000, "wipeonfork"},  {0x4000000, "dontdump"},
      {0x20000000, "hugepage"}, {0x40000000, "nohugepage"}, {0x80000000, "mergeable"}};
  std::string text = vma.growsdown() ? " growsdown" : "";
  for (const auto& [bit, name] : kFlags)
    if ((vma.flags() & bit) != 0) text += fmt::format(" {}", name);
  return text;
}

class Printer {
 public:
  Printer(const image::ImageReader& reader, unsigned width, std::ostream& out)
      : reader_(reader),
        index_(reader.index()),
        mapped_(reader.model(), reader.index()),
        width_(width),
        out_(out) {
    for (const auto& process : reader.model().tasks.processes()) {
      users_of_mm_[process.mm_id()].push_back(process.pid());
      users_of_table_[process.fd_table_id()].push_back(process.pid());
      children_[process.parent_pid()].push_back(&process);
    }
    for (const auto& table : reader.model().files.tables())
      for (const auto& entry : table.entries())
        holders_[entry.file_id()].emplace_back(table.id(), entry.fd());
  }

  void print_head() {
    const auto& manifest = reader_.manifest();
    const auto& tasks = reader_.model().tasks;
    std::time_t seconds = manifest.created_unix_ns() / 1'000'000'000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 32> time{};
    std::strftime(time.data(), time.size(), "%F %T", &utc);
    line(fmt::format("checkpoint of {} {}, taken {} UTC on Linux {} {} by bpfckpt {}", manifest.root_pid(),
                     comm_of(tasks.processes(0)), time.data(), printable(manifest.kernel_release()),
                     printable(manifest.architecture()), printable(manifest.program_version())));
    std::size_t threads = 0;
    for (const auto& process : tasks.processes())
      if (process.state() != pb::ZOMBIE) threads += static_cast<std::size_t>(process.threads_size());
    std::uint64_t bytes = 0;
    for (const auto& file : manifest.files()) bytes += file.size();
    std::string text =
        fmt::format("{}, {}, {}; {} of images",
                    plural(static_cast<std::size_t>(tasks.processes_size()), "process", "processes"),
                    plural(threads, "thread", "threads"), plural(holders_.size(), "open file", "open files"),
                    human_size(bytes));
    if (manifest.stats().frozen_us() != 0)
      text += fmt::format("; frozen for {:.1f} ms", static_cast<double>(manifest.stats().frozen_us()) / 1000);
    line(text);
  }

  // Depth first without recursion: a chain of processes may be long. Below kMaxDepth lines are not indented
  // further, or a long chain would make the text quadratic.
  void print_tree() {
    struct Node {
      const pb::Process* process;
      std::string prefix;  // of the lines below it
      std::string branch;
      int depth;
    };
    constexpr int kMaxDepth = 32;
    std::vector<Node> stack{{&reader_.model().tasks.processes(0), "", "", 0}};
    Columns columns;
    while (!stack.empty()) {
      Node node = std::move(stack.back());
      stack.pop_back();
      columns.add({node.branch + fmt::format("{} {}", node.process->pid(), comm_of(*node.process)),
                   summary_of(*node.process)});
      const auto& children = children_[node.process->pid()];
      for (std::size_t i = children.size(); i-- > 0;) {
        bool last = i + 1 == children.size();
        bool deeper = node.depth < kMaxDepth;
        stack.push_back({children[i],
                         node.prefix + (!deeper ? ""
                                        : last  ? "  "
                                                : "│ "),
                         node.prefix + (last ? "└─" : "├─"), node.depth + 1});
      }
    }
    columns.print(out_, "", width_);
  }

  void print_process(const pb::Process& process, bool every_mapping) {
    line(fmt::format("{} {}: {}", process.pid(), comm_of(process), summary_of(process)));
    if (process.state() == pb::ZOMBIE) return;
    print_properties(process);
    print_threads(process);
    print_fds(process);
    if (const auto* mm = index_.address_space(process.mm_id())) {
      print_memory(*mm);
      if (every_mapping) print_mappings(*mm);
    }
  }

  void line(std::string_view text) { out_ << cut(text, width_) << '\n'; }

 private:
  static std::string comm_of(const pb::Process& process) { return printable(process.threads(0).comm()); }

  std::string summary_of(const pb::Process& process) const {
    if (process.state() == pb::ZOMBIE) {
      auto status = static_cast<int>(process.exit_code());
      if (WIFSIGNALED(status))
        return fmt::format("zombie, killed by {}", signal_name(static_cast<std::uint32_t>(WTERMSIG(status))));
      return fmt::format("zombie, exit status {}", WEXITSTATUS(status));
    }
    std::string text = plural(static_cast<std::size_t>(process.threads_size()), "thread", "threads");
    if (const auto* table = index_.fd_table(process.fd_table_id()))
      text += fmt::format(", {}", plural(static_cast<std::size_t>(table->entries_size()), "fd", "fds"));
    if (const auto* mm = index_.address_space(process.mm_id()))
      text += fmt::format(", {} of memory taken{}", human_size(taken(*mm)), shared_taken(*mm));
    if (process.state() == pb::STOPPED)
      text += fmt::format(", stopped by {}", signal_name(process.stop_signal()));
    return text;
  }

  std::uint64_t taken(const pb::AddressSpace& mm) const {
    std::uint64_t pages = 0;
    for (const auto& run : mm.pages()) pages += run.count();
    return pages * kPageSize;
  }

  // What the images hold of memory that others may have, too.
  std::string shared_taken(const pb::AddressSpace& mm) const {
    const std::uint64_t bytes =
        mapped_.held_bytes(mm.id(), pb::FILE_SHARED) + mapped_.held_bytes(mm.id(), pb::ANONYMOUS_SHARED);
    return bytes == 0 ? "" : fmt::format(" and {} of shared memory", human_size(bytes));
  }

  void print_properties(const pb::Process& process) {
    Columns columns;
    columns.add(
        {"ids", fmt::format("parent {}, group {}, session {}",
                            process.parent_pid() == 0 ? "outside" : std::to_string(process.parent_pid()),
                            process.pgid(), process.sid())});
    if (const auto* mm = index_.address_space(process.mm_id()))
      if (const auto* exe = index_.file(mm->exe_file_id())) columns.add({"exe", path_of(*exe)});
    if (const auto* fs = index_.fs_context(process.fs_id())) {
      columns.add({"cwd", printable(fs->cwd().path())});
      if (fs->root().path() != "/") columns.add({"root", printable(fs->root().path())});
    }
    if (const auto* credentials = index_.credentials(process.threads(0).credentials_id()))
      columns.add({"user", fmt::format("uid {}, gid {}", credentials->euid(), credentials->egid())});
    if (!process.cgroup().empty()) columns.add({"cgroup", printable(process.cgroup())});
    columns.print(out_, "  ", width_);
  }

  void print_threads(const pb::Process& process) {
    if (process.threads_size() == 1) return;
    line("  threads");
    Columns columns({0});
    for (const auto& thread : process.threads())
      columns.add({std::to_string(thread.tid()), printable(thread.comm()), thread.exited() ? "exited" : ""});
    columns.print(out_, "    ", width_);
  }

  void print_fds(const pb::Process& process) {
    const auto* table = index_.fd_table(process.fd_table_id());
    if (table == nullptr) return;
    line("  files" + also("the table is also of", users_of_table_.at(table->id()), process.pid()));
    Columns columns({0, 4});
    for (const auto& entry : table->entries()) {
      const auto& file = *index_.file(entry.file_id());
      bool has_position = file.kind() == "regular" && (file.flags() & O_PATH) == 0;
      columns.add({std::to_string(entry.fd()), printable(file.kind()),
                   access_of(file.flags()) + (entry.close_on_exec() ? ",cloexec" : ""), path_of(file),
                   has_position ? fmt::format("at {}", file.position()) : "",
                   sharing_of(file, *table, entry.fd())});
    }
    columns.print(out_, "    ", width_);
  }

  // " (also of 101, 102 and 7 more)", without `self`.
  static std::string also(std::string_view text, const std::vector<std::uint32_t>& pids, std::uint32_t self) {
    std::vector<std::string> names;
    for (auto pid : pids)
      if (pid != self) names.push_back(std::to_string(pid));
    return names.empty() ? "" : fmt::format(" ({} {})", text, enumerate(names));
  }

  static std::string enumerate(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 3;
    std::string text;
    for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i == 0 ? "" : ", ") + names[i];
    if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
    return text;
  }

  // The other descriptors of the same description.
  std::string sharing_of(const pb::File& file, const pb::FdTable& table, std::uint32_t fd) const {
    std::vector<std::string> others;
    for (const auto& [other_table, other_fd] : holders_.at(file.id())) {
      if (other_table == table.id() && other_fd == fd) continue;
      // A table that nobody has is allowed; there is nothing to call it by.
      auto users = users_of_table_.find(other_table);
      if (other_table == table.id())
        others.push_back(fmt::format("fd {}", other_fd));
      else if (users != users_of_table_.end())
        others.push_back(fmt::format("{} fd {}", users->second.front(), other_fd));
    }
    return others.empty() ? "" : fmt::format("= {}", enumerate(others));
  }

  // Pages taken of [start, end); `it` goes forward with the mappings.
  struct Walk {
    int run = 0;
    std::uint64_t own = 0, kin = 0;
  };
  static void advance(const pb::AddressSpace& mm, const pb::Vma& vma, Walk& walk) {
    walk.own = walk.kin = 0;
    for (; walk.run < mm.pages_size() && mm.pages(walk.run).start() < vma.end(); ++walk.run) {
      const auto& run = mm.pages(walk.run);
      std::uint64_t run_end = run.start() + run.count() * kPageSize;
      std::uint64_t from = std::max(vma.start(), run.start()), to = std::min(vma.end(), run_end);
      if (from < to)
        (run.owner_mm_id() == 0 || run.owner_mm_id() == mm.id() ? walk.own : walk.kin) += to - from;
      if (run_end > vma.end()) break;  // goes on in the next mapping
    }
  }

  void print_memory(const pb::AddressSpace& mm) {
    const auto& users = users_of_mm_.at(mm.id());
    line("  memory" + (users.size() > 1 ? " (shared by " + enumerate(names_of(users)) + ")" : ""));
    struct Sum {
      std::size_t mappings = 0;
      std::uint64_t size = 0, own = 0, kin = 0;
    };
    std::map<pb::VmaKind, Sum> sums;
    Walk walk;
    for (const auto& vma : mm.vmas()) {
      advance(mm, vma, walk);
      auto& sum = sums[vma.kind()];
      ++sum.mappings;
      sum.size += vma.end() - vma.start();
      sum.own += walk.own;
      sum.kin += walk.kin;
    }
    Columns columns({1, 2, 3});
    for (const auto& [kind, sum] : sums)
      columns.add({std::string(kHeadings[kind]), plural(sum.mappings, "mapping ", "mappings"),
                   human_size(sum.size),
                   human_size(sum.own + sum.kin + mapped_.held_bytes(mm.id(), kind)) + " taken",
                   sum.kin == 0 ? "" : fmt::format("{} shared with relatives", human_size(sum.kin))});
    columns.print(out_, "    ", width_);
  }

  static std::vector<std::string> names_of(const std::vector<std::uint32_t>& pids) {
    std::vector<std::string> names;
    for (auto pid : pids) names.push_back(std::to_string(pid));
    return names;
  }

  void print_mappings(const pb::AddressSpace& mm) {
    line("  mappings");
    Columns columns({2, 3});
    Walk walk;
    for (const auto& vma : mm.vmas()) {
      advance(mm, vma, walk);
      std::string what = printable(vma.name());
      if (const auto* file = index_.file(vma.file_id())) {
        what = path_of(*file);
        if (vma.file_offset() != 0) what += fmt::format("+{:#x}", vma.file_offset());
      } else if (mm.start_brk() < mm.brk() && vma.start() < mm.brk() && vma.end() > mm.start_brk()) {
        what = "[heap]";
      } else if (vma.start() <= mm.start_stack() && mm.start_stack() < vma.end()) {
        what = "[stack]";
      }
      columns.add({fmt::format("{:012x}-{:012x}", vma.start(), vma.end()), protection_of(vma),
                   human_size(vma.end() - vma.start()),
                   human_size(walk.own + walk.kin + mapped_.held_bytes(vma)), what + advice_of(vma)});
    }
    columns.print(out_, "    ", width_);
  }

  const image::ImageReader& reader_;
  const ModelIndex& index_;
  const MappedObjects mapped_;
  unsigned width_;
  std::ostream& out_;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> users_of_mm_, users_of_table_;  // pids
  std::unordered_map<std::uint32_t, std::vector<const pb::Process*>> children_;
  std::unordered_map<std::uint32_t, std::vector<std::pair<std::uint32_t, std::uint32_t>>>
      holders_;  // table, fd
};

}  // namespace

void print_checkpoint(const image::ImageReader& reader, unsigned width, std::ostream& out) {
  Printer printer(reader, width, out);
  printer.print_head();
  printer.line("");
  printer.print_tree();
  for (const auto& process : reader.model().tasks.processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    printer.line("");
    printer.print_process(process, false);
  }
}

void print_process(const image::ImageReader& reader, const pb::Process& process, unsigned width,
                   std::ostream& out) {
  Printer(reader, width, out).print_process(process, true);
}

}  // namespace bpfckpt
