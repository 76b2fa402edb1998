// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <unordered_set>

#include "model/validate.h"

namespace bpfckpt::validation {
namespace {

constexpr std::uint32_t kMaxPid = 1 << 22;         // PID_MAX_LIMIT
constexpr int kMaxPidLevels = 33;                  // MAX_PID_NS_LEVEL and the initial one
constexpr std::uint32_t kMaxSignal = 64;           // _NSIG
constexpr std::size_t kSiginfoBytes = 128;         // sizeof(siginfo_t)
constexpr std::size_t kRegistersBytes = 27 * 8;    // x86-64 user_regs_struct
constexpr std::size_t kMinXstateBytes = 512;       // the FXSAVE area
constexpr std::size_t kMaxXstateBytes = 64 << 10;  // AMX needs 11 KiB
constexpr std::uint32_t kMinRseqBytes = 32;        // the first version of struct rseq
constexpr std::uint32_t kMaxRseqBytes = 4096;
constexpr int kMaxRlimits = 16;                      // RLIM_NLIMITS
constexpr int kMaxGroups = 65536;                    // NGROUPS_MAX
constexpr std::size_t kMaxAffinityBytes = 8192 / 8;  // CONFIG_NR_CPUS at most
constexpr std::size_t kMaxCommBytes = 15 * 4;        // TASK_COMM_LEN - 1, each byte as \xNN
constexpr std::uint32_t kMaxClamp = 1024;            // SCHED_CAPACITY_SCALE
constexpr std::uint32_t kDeadlineFlags = 2 | 4;      // SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN

constexpr std::size_t kFilterInstruction = 8;                       // sizeof(struct sock_filter)
constexpr std::size_t kMaxFilterBytes = 4096 * kFilterInstruction;  // BPF_MAXINSNS
constexpr int kMaxFilters = 32768 / 5;  // kernel/seccomp.c: MAX_INSNS_PER_PATH, 4 and the program each

bool is_pid(std::uint32_t pid) {
  return pid >= 1 && pid <= kMaxPid;
}

template <class Pending>
Result<void> check_pending(const Pending& pending) {
  for (const auto& siginfo : pending)
    if (siginfo.size() != kSiginfoBytes)
      return refuse("a pending signal's siginfo has {} bytes, not {}", siginfo.size(), kSiginfoBytes);
  return {};
}

template <class Levels>
Result<void> check_levels(const Levels& pids) {
  if (pids.size() > kMaxPidLevels) return refuse("{} pid-namespace levels", pids.size());
  if (!std::ranges::all_of(pids, is_pid)) return refuse("bad pid in an inner pid namespace");
  return {};
}

Result<void> check_thread(const pb::Thread& thread, bool runs, const ModelIndex& index) {
  TRY(check_levels(thread.ns_tid()));
  TRY(check_pending(thread.pending()));
  if (!is_text(thread.comm(), kMaxCommBytes)) return refuse("comm is too long, or no UTF-8");
  if (thread.pdeath_signal() > kMaxSignal) return refuse("bad pdeath signal {}", thread.pdeath_signal());
  if (thread.seccomp_mode() > 2) return refuse("bad seccomp mode {}", thread.seccomp_mode());
  if (thread.seccomp_filter_ids_size() > kMaxFilters) return refuse("too many seccomp filters");
  for (std::uint32_t id : thread.seccomp_filter_ids())
    if (index.seccomp_filter(id) == nullptr) return refuse("no seccomp filter {}", id);
  if (thread.scheduling().affinity().size() > kMaxAffinityBytes) return refuse("cpu mask is too long");
  if (thread.scheduling().util_min() > kMaxClamp || thread.scheduling().util_max() > kMaxClamp)
    return refuse("bad utilization clamps");
  if ((thread.scheduling().deadline_flags() & ~kDeadlineFlags) != 0)
    return refuse("bad deadline flags {:#x}", thread.scheduling().deadline_flags());
  if (thread.has_restart() && thread.restart().args_size() > 6)
    return refuse("system call with more than 6 arguments");
  if (std::uint32_t len = thread.rseq().len();
      thread.rseq().address() != 0 && (len < kMinRseqBytes || len > kMaxRseqBytes))
    return refuse("rseq area of {} bytes", len);
  if (thread.credentials_id() != 0 && index.credentials(thread.credentials_id()) == nullptr)
    return refuse("no credentials {}", thread.credentials_id());
  if (!runs) return {};
  if (thread.credentials_id() == 0) return refuse("no credentials");
  if ((thread.seccomp_mode() == 2) != !thread.seccomp_filter_ids().empty())
    return refuse("seccomp mode {} with {} filters", thread.seccomp_mode(), thread.seccomp_filter_ids_size());
  if (thread.registers().size() != kRegistersBytes)
    return refuse("{} bytes of registers instead of {}", thread.registers().size(), kRegistersBytes);
  if (std::size_t size = thread.xstate().size(); size < kMinXstateBytes || size > kMaxXstateBytes)
    return refuse("{} bytes of extended state", size);
  return {};
}

Result<void> check_signals(const pb::Process& process) {
  if (process.exit_signal() > kMaxSignal) return refuse("bad exit signal {}", process.exit_signal());
  if (process.stop_signal() > kMaxSignal) return refuse("bad stop signal {}", process.stop_signal());
  std::uint64_t seen = 0;
  for (const auto& action : process.sigactions()) {
    if (action.signal() < 1 || action.signal() > kMaxSignal) return refuse("bad signal {}", action.signal());
    std::uint64_t bit = 1ULL << (action.signal() - 1);
    if ((seen & bit) != 0) return refuse("two actions for signal {}", action.signal());
    seen |= bit;
  }
  return check_pending(process.pending());
}

Result<void> check_timers(const pb::Process& process) {
  std::unordered_set<std::int32_t> ids;
  for (const auto& timer : process.posix_timers()) {
    if (timer.id() < 0 || !ids.insert(timer.id()).second)
      return refuse("timer id {} is bad or used twice", timer.id());
    if (timer.signal() > kMaxSignal) return refuse("timer {}: bad signal {}", timer.id(), timer.signal());
  }
  return {};
}

// What a process has while it lives.
Result<void> check_resources(const pb::Process& process, const ModelIndex& index) {
  bool zombie = process.state() == pb::ZOMBIE;
  auto resolves = [&](std::uint32_t id, const auto* found) { return id == 0 ? zombie : found != nullptr; };
  if (!resolves(process.mm_id(), index.address_space(process.mm_id())))
    return refuse("no address space {}", process.mm_id());
  if (!resolves(process.fs_id(), index.fs_context(process.fs_id())))
    return refuse("no fs context {}", process.fs_id());
  if (process.fd_table_id() != 0 && index.fd_table(process.fd_table_id()) == nullptr)
    return refuse("no fd table {}", process.fd_table_id());
  if (process.namespaces_id() != 0 && index.namespaces(process.namespaces_id()) == nullptr)
    return refuse("no namespaces {}", process.namespaces_id());
  return {};
}

Result<void> check_process(const pb::Process& process, const ModelIndex& index,
                           std::unordered_set<std::uint32_t>& tids) {
  if (!pb::ProcessState_IsValid(process.state()))
    return refuse("bad state {}", static_cast<int>(process.state()));
  if (process.pgid() > kMaxPid || process.sid() > kMaxPid) return refuse("bad process group or session");
  if (process.ptracer() < -1 || process.ptracer() > static_cast<std::int64_t>(kMaxPid))
    return refuse("bad tracer {}", process.ptracer());
  if (process.exit_code() > 0xffff) return refuse("bad exit code {:#x}", process.exit_code());
  if (process.rlimits_size() > kMaxRlimits) return refuse("{} limits", process.rlimits_size());
  if (!is_text(process.cgroup(), kMaxPathBytes)) return refuse("cgroup path is too long, or no UTF-8");
  TRY(check_levels(process.ns_pid()));
  TRY(check_signals(process));
  TRY(check_timers(process));
  TRY(check_resources(process, index));
  if (process.threads().empty()) return refuse("no threads");
  if (process.threads(0).tid() != process.pid()) return refuse("the first thread is not the leader");
  for (const auto& thread : process.threads()) {
    if (!is_pid(thread.tid()) || !tids.insert(thread.tid()).second)
      return refuse("thread id {} is bad or used twice", thread.tid());
    bool runs = process.state() != pb::ZOMBIE && !thread.exited();
    TRY(check_thread(thread, runs, index), "thread {}", thread.tid());
  }
  return {};
}

// Parents come first, so there is one tree and no cycle.
Result<void> check_parent(const pb::Process& process, bool first,
                          const std::unordered_map<std::uint32_t, const pb::Process*>& earlier) {
  if (first) return process.parent_pid() == 0 ? Result<void>{} : refuse("the root of the tree has a parent");
  auto parent = earlier.find(process.parent_pid());
  if (parent == earlier.end()) return refuse("its parent {} does not come before it", process.parent_pid());
  if (parent->second->state() == pb::ZOMBIE) return refuse("its parent {} is a zombie", process.parent_pid());
  return {};
}

Result<void> check_path(const pb::Path& path) {
  if (path.path().size() > kMaxPathBytes) return refuse("path is too long");
  if (path.path().find('\0') != std::string::npos) return refuse("path holds a zero byte");
  return {};
}

}  // namespace

Result<void> check_tasks(const pb::Tasks& tasks, const ModelIndex& index) {
  if (tasks.processes().empty()) return refuse("no processes");
  std::unordered_map<std::uint32_t, const pb::Process*> earlier;
  std::unordered_set<std::uint32_t> tids;
  for (const auto& process : tasks.processes()) {
    TRY(check_parent(process, earlier.empty(), earlier), "pid {}", process.pid());
    TRY(check_process(process, index, tids), "pid {}", process.pid());
    earlier.emplace(process.pid(), &process);
  }
  for (const auto& fs : tasks.fs_contexts()) {
    if (fs.umask() > 0777) return refuse("fs context {}: bad umask {:o}", fs.id(), fs.umask());
    TRY(check_path(fs.cwd()), "fs context {}: cwd", fs.id());
    TRY(check_path(fs.root()), "fs context {}: root", fs.id());
  }
  for (const auto& filter : tasks.seccomp_filters()) {
    std::size_t size = filter.program().size();
    if (size == 0 || size % kFilterInstruction != 0 || size > kMaxFilterBytes)
      return refuse("seccomp filter {}: a program of {} bytes", filter.id(), size);
  }
  for (const auto& credentials : tasks.credentials())
    if (credentials.groups_size() > kMaxGroups || !is_text(credentials.security_label(), kMaxPathBytes))
      return refuse("credentials {}: too long, or no UTF-8", credentials.id());
  return {};
}

}  // namespace bpfckpt::validation
