// SPDX-License-Identifier: Apache-2.0
// gdb is the oracle: from the core of a checkpoint it must show the backtrace of every thread, the values of
// variables, and the command line. The checkpoint is made here of a child of the test, by ptrace and /proc.
#include <doctest/doctest.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <ranges>
#include <sstream>
#include <thread>
#include <vector>

#include "cmd/core.h"
#include "harness/skip.h"
#include "harness/synthetic_model.h"

using namespace bpfckpt;
using namespace bpfckpt::synthetic;

// Named without a namespace, as gdb prints them. Each holds something that only its own frame knows.
std::atomic<int> core_backtrace_ready;
volatile char* core_backtrace_shared;
// Locals are volatile so that they are in memory, where gdb finds them; and are read after the call, so that
// it does not become a jump.
[[gnu::noinline]] void core_backtrace_inner(int depth) {
  volatile int inner_depth = depth;
  ++core_backtrace_ready;
  while (inner_depth > 0) pause();
}
[[gnu::noinline]] void core_backtrace_outer(int depth) {
  volatile int outer_depth = depth;
  core_backtrace_inner(outer_depth + 1);
  outer_depth = outer_depth + 1;
}
[[gnu::noinline]] void core_backtrace_spin() {
  volatile long turns = 4711;
  ++core_backtrace_ready;
  while (turns > 0) asm volatile("" ::: "memory");
}

namespace {

constexpr std::size_t kPage = 4096;

[[noreturn]] void run_child(int ready_fd) {
  core_backtrace_shared =
      static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  core_backtrace_shared[7] = 'Z';
  std::thread([] { core_backtrace_outer(10); }).detach();
  std::thread([] { core_backtrace_spin(); }).detach();
  std::thread([ready_fd] {
    while (core_backtrace_ready < 3) usleep(1000);
    if (write(ready_fd, "", 1) != 1) _exit(1);
    core_backtrace_outer(30);
  }).detach();
  core_backtrace_outer(20);
  _exit(0);
}

class Stopped {
 public:
  explicit Stopped(pid_t pid) : pid_(pid) {
    for (const auto& it : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid))) {
      pid_t tid = std::stoi(it.path().filename().string());
      REQUIRE(ptrace(PTRACE_SEIZE, tid, 0, 0) == 0);
      REQUIRE(ptrace(PTRACE_INTERRUPT, tid, 0, 0) == 0);
      REQUIRE(waitpid(tid, nullptr, __WALL) == tid);
      tids.push_back(tid);
    }
    std::ranges::sort(tids);  // the leader is the first
  }
  ~Stopped() {
    kill(pid_, SIGKILL);
    // The leader's end is told only after its threads' ends were taken note of.
    for (pid_t tid : tids | std::views::reverse) waitpid(tid, nullptr, __WALL);
  }
  std::vector<pid_t> tids;

 private:
  pid_t pid_;
};

std::string register_set(pid_t tid, int type) {
  std::string bytes(16 << 10, '\0');
  iovec vector{bytes.data(), bytes.size()};
  REQUIRE(ptrace(PTRACE_GETREGSET, tid, type, &vector) == 0);
  bytes.resize(vector.iov_len);
  return bytes;
}

// The pages that are the process's own: present, neither of a file nor of shared memory.
void take_pages(pid_t pid, const pb::Vma& vma, pb::AddressSpace& mm, int image, std::uint64_t& index) {
  Fd pagemap(open(fmt::format("/proc/{}/pagemap", pid).c_str(), O_RDONLY | O_CLOEXEC));
  Fd mem(open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDONLY | O_CLOEXEC));
  for (std::uint64_t at = vma.start(); at < vma.end(); at += kPage) {
    std::uint64_t entry = 0;
    REQUIRE(pread(pagemap.get(), &entry, 8, static_cast<off_t>(at / kPage * 8)) == 8);
    bool present = (entry >> 62) != 0, of_file = (entry >> 61 & 1) != 0;
    if (!present || of_file) continue;
    std::string page(kPage, '\0');
    REQUIRE(pread(mem.get(), page.data(), kPage, static_cast<off_t>(at)) == static_cast<ssize_t>(kPage));
    REQUIRE(write(image, page.data(), kPage) == static_cast<ssize_t>(kPage));
    add_run(mm, at, 1, index++);
  }
}

void add_mapped_file(Model& model, std::uint32_t id, const std::string& path) {
  auto& file = add_file(model, id, "regular", path.c_str(), 0);
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return;
  file.mutable_inode()->set_size(static_cast<std::uint64_t>(st.st_size));
  file.mutable_inode()->set_mtime_ns(st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec);
}

void write_checkpoint_of(pid_t pid, const Stopped& stopped, const std::string& directory) {
  auto writer = image::ImageWriter::open(directory);
  REQUIRE(writer.has_value());
  auto raw = writer->create_raw("pages-1");
  REQUIRE(raw.has_value());
  Model model;
  model.tasks.add_credentials()->set_id(1);
  model.tasks.add_fs_contexts()->set_id(1);
  auto& process = *model.tasks.add_processes();
  process.set_pid(static_cast<std::uint32_t>(pid));
  process.set_mm_id(1);
  process.set_fs_id(1);
  for (pid_t tid : stopped.tids) {
    auto& thread = *process.add_threads();
    thread.set_tid(static_cast<std::uint32_t>(tid));
    thread.set_comm("victim");
    thread.set_credentials_id(1);
    thread.set_registers(register_set(tid, NT_PRSTATUS));
    thread.set_xstate(register_set(tid, NT_X86_XSTATE));
  }

  auto& mm = *model.memory.add_address_spaces();
  mm.set_id(1);
  mm.add_page_images(raw->name);
  std::ifstream auxv(fmt::format("/proc/{}/auxv", pid), std::ios::binary);
  for (std::uint64_t word; auxv.read(reinterpret_cast<char*>(&word), sizeof(word));) mm.add_auxv(word);
  std::map<std::string, std::uint32_t> files;
  std::uint64_t index = 0;
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  for (std::string line; std::getline(maps, line);) {
    unsigned long start = 0, end = 0, offset = 0;
    char flags[5] = "";
    int path_at = 0;
    REQUIRE(std::sscanf(line.c_str(), "%lx-%lx %4s %lx %*s %*s %n", &start, &end, flags, &offset, &path_at) ==
            4);
    std::string path = line.substr(static_cast<std::size_t>(path_at));
    if (path == "[vsyscall]") continue;
    std::uint64_t bits =
        (flags[0] == 'r') | (flags[1] == 'w') << 1 | (flags[2] == 'x') << 2 | (flags[3] == 's') << 3;
    bool special = path.starts_with("[v");
    bool of_file = path.starts_with('/');
    if (of_file && !files.contains(path)) {
      auto id = static_cast<std::uint32_t>(files.size() + 1);
      files.emplace(path, id);
      add_mapped_file(model, id, path);
    }
    auto& vma = add_vma(mm, start, end,
                        special   ? pb::SPECIAL
                        : of_file ? pb::FILE_PRIVATE
                                  : pb::ANONYMOUS_PRIVATE,
                        bits, of_file ? files[path] : 0, special ? path.c_str() : "");
    if (of_file) vma.set_file_offset(offset);
    if (!special) take_pages(pid, vma, mm, raw->fd, index);
  }
  pb::Manifest manifest;
  auto done = writer->finish(model, manifest);
  REQUIRE_MESSAGE(done.has_value(), done.error().message());
}

std::string gdb(const std::string& core) {
  std::string command = fmt::format(
      "gdb -nx -batch -iex 'set debuginfod enabled off' -ex 'thread apply all bt full' -ex 'print "
      "core_backtrace_shared[7]' "
      "-ex 'info auxv' -ex 'info proc mappings' -ex 'info registers xmm0' /proc/self/exe {} 2>&1",
      core);
  command.replace(command.find("/proc/self/exe"), 14,
                  std::filesystem::read_symlink("/proc/self/exe").string());
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  for (char buffer[4096]; std::size_t n = fread(buffer, 1, sizeof(buffer), pipe);) text.append(buffer, n);
  pclose(pipe);
  return text;
}

std::size_t count(const std::string& text, std::string_view word) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++n;
  return n;
}

// gdb before 14 takes Intel's layout of the extended state for granted and finds AMD's, which is shorter,
// "too small"; of the kernel's own cores as well.
std::string without_layout_warnings(const std::string& text) {
  std::istringstream lines(text);
  std::string kept;
  for (std::string line; std::getline(lines, line);)
    if (line.find("Section `.reg-xstate/") == std::string::npos) kept += line + "\n";
  return kept;
}

}  // namespace

TEST_CASE("gdb reads the core of a process with four threads") {
  REQUIRE_FEATURE(std::system("gdb --version >/dev/null 2>&1") == 0, "program gdb");
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) run_child(ends[1]);
  char byte;
  REQUIRE(read(ends[0], &byte, 1) == 1);
  usleep(10'000);  // the thread that wrote goes on into pause()
  TemporaryDirectory directory, output;
  {
    Stopped stopped(pid);
    REQUIRE(stopped.tids.size() == 4);
    write_checkpoint_of(pid, stopped, directory.path());
  }
  CoreOptions options{.pid = static_cast<std::uint32_t>(pid), .output_path = output.file("core")};
  options.common.images_dir = directory.path();
  std::ostringstream said;
  auto status = run_core(options, said);
  REQUIRE_MESSAGE(status.has_value(), status.error().message());
  CHECK(said.str().find("left out") == std::string::npos);

  std::string text = gdb(output.file("core"));
  INFO(text);
  CHECK(count(text, "(LWP ") >= 4);
  // Three threads are two calls deep in pause(), called by three depths; one spins in user space.
  CHECK(count(text, "in core_backtrace_inner") == 3);
  CHECK(count(text, "in core_backtrace_outer") == 3);
  CHECK(count(text, "core_backtrace_spin") == 1);
  for (const char* local :
       {"inner_depth = 11\n", "inner_depth = 21\n", "inner_depth = 31\n", "outer_depth = 10\n",
        "outer_depth = 20\n", "outer_depth = 30\n", "turns = 4711\n"}) {
    CAPTURE(local);
    CHECK(count(text, local) == 1);
  }
  CHECK(count(text, "clone3 ()") == 3);
  CHECK(count(text, "in main") == 1);
  CHECK(text.find("= 90 'Z'") != std::string::npos);
  CHECK(text.find("AT_SYSINFO_EHDR") != std::string::npos);
  CHECK(text.find("v16_int8") != std::string::npos);  // xmm0
  CHECK(without_layout_warnings(text).find("warning") == std::string::npos);
}
