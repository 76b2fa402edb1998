// SPDX-License-Identifier: Apache-2.0
#include "restore/restore.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <thread>

#include "base/fd.h"
#include "base/log.h"
#include "image/content_check.h"
#include "image/reader.h"
#include "kinds/names.h"
#include "kinds/outside.h"
#include "model/own_vdso.h"
#include "restore/checks.h"
#include "restore/connections.h"
#include "restore/environment.h"
#include "restore/executor.h"
#include "restore/label_checks.h"
#include "restore/packet_rings.h"
#include "restore/segment_checks.h"
#include "restore/signal_info.h"
#include "restore/socket_checks.h"
#include "restore/terminal.h"
#include "target/resume.h"

namespace bpfckpt::restore {
namespace {

// Files that the caller gives need not be what they were.
std::vector<std::uint32_t> inherited_files(const Model& model, const RestorePolicy& policy) {
  std::vector<std::uint32_t> ids;
  for (const pb::File& file : model.files.files()) {
    if (kinds::is_external(file, policy.external) && !kinds::is_external_device(file, policy.external))
      ids.push_back(file.id());
    for (const std::string& name : kinds::external_names(file, policy.external))
      if (policy.inherited.contains(name)) ids.push_back(file.id());
  }
  return ids;
}

constexpr std::int64_t kLargestVdso = 1 << 20;

// Of another kernel; empty: it is this one's, or was not kept.
Result<std::vector<std::byte>> old_vdso(const image::ImageReader& reader,
                                        const std::vector<SpecialMapping>& special) {
  const std::string& name = reader.manifest().vdso_image();
  if (name.empty()) return {};
  const std::int64_t size = reader.size_of(name);
  if (size <= 0 || size > kLargestVdso)
    return fail(Error::bad_image(fmt::format("a vDSO of {} bytes", size)));
  TRY_ASSIGN(Fd fd, reader.open_raw(name));
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  if (::pread(fd.get(), bytes.data(), bytes.size(), 0) != size)
    return fail(Error::system(fmt::format("read {}", name)));
  if (std::ranges::equal(bytes, own_vdso(special))) bytes.clear();
  return bytes;
}

// "[always] madvise never"
bool huge_pages_unasked() {
  Fd file(::open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC));
  char words[64] = {};
  return file && ::read(file.get(), words, sizeof(words) - 1) > 0 &&
         std::string_view(words).find("[always]") != std::string_view::npos;
}

bool has_userfaultfd() {
  return static_cast<bool>(Fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY))));
}

Result<RestorePolicy> policy_for(const image::ImageReader& reader, const Options& options) {
  RestorePolicy policy = options.policy;
  const auto& external = reader.manifest().options().external();
  policy.external.assign(external.begin(), external.end());
  TRY_ASSIGN(policy.old_vdso, old_vdso(reader, options.special_mappings));
  policy.vdso = own_vdso(options.special_mappings);
  policy.huge_pages_unasked = huge_pages_unasked();
  policy.userfaultfd = has_userfaultfd();
  if (!policy.old_vdso.empty()) TRY(check_outside_vdso(reader.model()));
  return policy;
}

// The group of the tree that was in the foreground of a terminal whose session is outside; 0: none.
pid_t foreground_group(const Model& model) {
  const pb::Process& root = model.tasks.processes(0);
  if (root.sid() == root.pid()) return 0;
  for (const pb::Process& process : model.tasks.processes())
    if (process.pgid() == root.controlling_tty_pgrp() && process.state() != pb::ZOMBIE)
      return static_cast<pid_t>(process.pgid());
  return 0;
}

// The tree loses what it was connected to, unless the caller gives something in its place.
void warn_of_outside(const Model& model, const ModelIndex& index,
                     const std::vector<std::uint32_t>& inherited) {
  std::set<std::string> told;
  for (const pb::File& file : model.files.files()) {
    const pb::FileObject* object = index.object(file.object_id());
    if (object == nullptr || std::ranges::find(inherited, file.id()) != inherited.end()) continue;
    std::string outside = kinds::outside_ends(*object);
    std::string name = kinds::describe_name(file);
    if (outside.empty() || !told.insert(name).second) continue;
    log::warn(
        "{}: lost: its {} outside of the tree; it is a pipe of the tree's own now (--inherit-fd fd[N]:{} "
        "gives one)",
        name, outside, name);
  }
}

std::optional<target::RestartCall> restart_of(const pb::Thread& thread) {
  if (!thread.has_restart()) return std::nullopt;
  target::RestartCall call;
  call.call = thread.restart().call();
  call.clock = static_cast<int>(thread.restart().clock());
  if (thread.restart().remaining_ns() >= 0) call.remaining_ns = thread.restart().remaining_ns();
  return call;
}

target::ResumeThread thread_to_resume(const pb::Thread& thread) {
  target::ResumeThread out;
  out.tid = static_cast<pid_t>(thread.tid());
  std::memcpy(&out.registers, thread.registers().data(), sizeof out.registers);  // size: validate()
  auto xstate = std::as_bytes(std::span(thread.xstate()));
  out.xstate.assign(xstate.begin(), xstate.end());
  out.sigmask = thread.blocked();
  out.restart = restart_of(thread);
  out.at_restart = thread.at_restart();
  out.stop_pending = std::ranges::any_of(thread.pending(), is_stop);
  return out;
}

std::vector<target::ResumeProcess> what_to_resume(const Model& model, bool leave_stopped) {
  std::vector<target::ResumeProcess> processes;
  for (const pb::Process& process : model.tasks.processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    target::ResumeProcess out;
    out.pid = static_cast<pid_t>(process.pid());
    if (process.state() == pb::STOPPED && process.stop_signal() != 0)
      out.stop_signal = static_cast<int>(process.stop_signal());
    else if (process.state() == pb::STOPPED || leave_stopped)
      out.stop_signal = SIGSTOP;
    out.stop_pending = std::ranges::any_of(process.pending(), is_stop);
    for (const pb::Thread& thread : process.threads())
      if (!thread.exited()) out.threads.push_back(thread_to_resume(thread));
    processes.push_back(std::move(out));
  }
  return processes;
}

// Reads the image files that are not read as a whole while the tree is being made, meanwhile, in a thread of
// its own.
class BackgroundCheck {
 public:
  explicit BackgroundCheck(image::ContentCheck& contents)
      : thread_([this, &contents] { result_ = contents.read_others(); }) {}
  ~BackgroundCheck() {
    if (thread_.joinable()) thread_.join();
  }
  Result<void> wait() {
    thread_.join();
    return std::move(result_);
  }

 private:
  Result<void> result_;
  std::thread thread_;
};

}  // namespace

Result<Outcome> restore(const Options& options) {
  // Before: images read and believed, the machine looked at, the plan made.
  TRY_ASSIGN(image::ImageReader reader, image::ImageReader::open(options.images_dir));
  if (options.tcp_close) TRY(close_connections(reader.model_to_change()));
  TRY(reader.check_machine());
  TRY(check_cpu(reader.manifest().cpu(), options.cpu));
  const Model& model = reader.model();
  TRY_ASSIGN(const RestorePolicy policy, policy_for(reader, options));
  TRY(check_pids_free(model));
  const std::vector<std::uint32_t> inherited = inherited_files(model, policy);
  TRY(check_files(model, options.file_rwx_check, inherited));
  TRY(check_locks(model, inherited));
  TRY(check_labels(model, reader.index()));
  TRY(check_segments(model, reader.index()));
  TRY(check_socket_names(model, inherited));
  TRY(check_network(model, inherited));
  HostEnvironment environment(options.special_mappings);
  TRY_ASSIGN(Plan plan, make_plan(model, policy, environment), "plan");
  TRY_ASSIGN(image::ContentCheck contents, image::ContentCheck::open(reader));
  expect_filled(contents, plan);
  warn_of_outside(model, reader.index(), inherited);
  if (wants_session_keyring(model) && !environment.can_join_session_keyring())
    log::warn("the tree gets the session keyring of bpfckpt: keyctl(2) gives it none of its own");
  TRY(options.at_stage("pre-restore", 0));
  Connections connections(reader, inherited);
  if (options.network_lock) TRY(connections.lock(reader.manifest().network_lock()));

  // Everything is made; nothing of it runs yet. What a failed restore leaves behind comes to us, to be
  // reaped.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return fail(Error::system("PR_SET_CHILD_SUBREAPER"));
  // Processes take descriptors from us (pidfd_getfd(2)), also while they have other ids for a moment and no
  // capabilities: Yama wants to be told that they may. EINVAL: there is no Yama.
  ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  BackgroundCheck check(contents);
  target::Waiter waiter;
  target::RobustList robust;
  Executor executor(plan, reader, contents, waiter, robust, options.special_mappings,
                    {.sibling = options.sibling});
  TRY(executor.run());
  TRY(fill_packet_rings(reader, inherited));
  TRY(options.at_stage("post-restore", executor.root()));
  TRY(check.wait());
  TRY(contents.finish());

  // Everybody becomes what they were, and all go on together.
  auto processes = what_to_resume(model, options.leave_stopped);
  TRY_ASSIGN(target::HeldTree held,
             target::hold(waiter, processes, executor.area().range(), executor.take_seized()), "resume");
  TRY(options.at_stage("pre-resume", executor.root()));
  TRY(connections.give_back(), "connections");
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
  ::prctl(PR_SET_PTRACER, 0, 0, 0, 0);
  Outcome outcome{executor.root()};
  // Before: whoever reads from a terminal in the background is stopped (SIGTTIN).
  if (pid_t group = foreground_group(model); options.policy.shell_job && group != 0)
    outcome.has_terminal = give_terminal(environment.caller_terminal(), group);
  TRY(held.release());
  executor.keep();
  TRY(options.at_stage("post-resume", outcome.root));
  return outcome;
}

Result<std::string> plan_text(const Options& options) {
  TRY_ASSIGN(image::ImageReader reader, image::ImageReader::open(options.images_dir));
  if (options.tcp_close) TRY(close_connections(reader.model_to_change()));
  HostEnvironment environment(options.special_mappings);
  TRY_ASSIGN(const RestorePolicy policy, policy_for(reader, options));
  TRY_ASSIGN(Plan plan, make_plan(reader.model(), policy, environment));
  return to_text(plan);
}

}  // namespace bpfckpt::restore
