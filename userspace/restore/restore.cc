// SPDX-License-Identifier: Apache-2.0
#include "restore/restore.h"

#include <signal.h>
#include <sys/prctl.h>

#include <thread>

#include "base/log.h"
#include "image/reader.h"
#include "kinds/names.h"
#include "restore/checks.h"
#include "restore/environment.h"
#include "restore/executor.h"
#include "target/resume.h"

namespace bpfckpt::restore {
namespace {

// Files that the caller gives need not be what they were.
std::vector<std::uint32_t> inherited_files(const Model& model, const RestorePolicy& policy) {
  std::vector<std::uint32_t> ids;
  for (const pb::File& file : model.files.files())
    for (const std::string& name : kinds::external_names(file))
      if (policy.inherited.contains(name)) ids.push_back(file.id());
  return ids;
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
  return out;
}

std::vector<target::ResumeProcess> what_to_resume(const Model& model, const ModelIndex& index,
                                                  bool leave_stopped) {
  std::vector<target::ResumeProcess> processes;
  for (const pb::Process& process : model.tasks.processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    target::ResumeProcess out;
    out.pid = static_cast<pid_t>(process.pid());
    if (process.state() == pb::STOPPED && process.stop_signal() != 0)
      out.stop_signal = static_cast<int>(process.stop_signal());
    else if (process.state() == pb::STOPPED || leave_stopped)
      out.stop_signal = SIGSTOP;
    if (const pb::AddressSpace* mm = index.address_space(process.mm_id()))
      for (const pb::Vma& vma : mm->vmas())
        if (vma.kind() == pb::SPECIAL && vma.name() == "[vdso]")
          out.vdso = target::RemoteAddress(vma.start());
    for (const pb::Thread& thread : process.threads())
      if (!thread.exited()) out.threads.push_back(thread_to_resume(thread));
    processes.push_back(std::move(out));
  }
  return processes;
}

// Reads the raw images once more, against their checksums, while the tree is being made.
class ContentCheck {
 public:
  explicit ContentCheck(const image::ImageReader& reader)
      : thread_([this, &reader] { result_ = reader.verify_contents(1); }) {}
  ~ContentCheck() {
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
  TRY(reader.check_machine());
  const Model& model = reader.model();
  TRY(check_pids_free(model));
  TRY(check_files(model, options.file_rwx_check, inherited_files(model, options.policy)));
  HostEnvironment environment(options.special_mappings);
  TRY_ASSIGN(Plan plan, make_plan(model, options.policy, environment), "plan");
  TRY(options.at_stage("pre-restore", 0));

  // Everything is made; nothing of it runs yet. What a failed restore leaves behind comes to us, to be
  // reaped.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return fail(Error::system("PR_SET_CHILD_SUBREAPER"));
  ContentCheck contents(reader);
  target::Waiter waiter;
  target::RobustList robust;
  Executor executor(plan, reader, waiter, robust, options.special_mappings, {.sibling = options.sibling});
  TRY(executor.run());
  TRY(options.at_stage("post-restore", executor.root()));
  TRY(contents.wait());

  // Everybody becomes what they were, and all go on together.
  auto processes = what_to_resume(model, reader.index(), options.leave_stopped);
  TRY_ASSIGN(target::HeldTree held,
             target::hold(waiter, processes, executor.area().range(), executor.take_seized()), "resume");
  TRY(options.at_stage("pre-resume", executor.root()));
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
  Outcome outcome{executor.root()};
  TRY(held.release());
  executor.keep();
  TRY(options.at_stage("post-resume", outcome.root));
  return outcome;
}

Result<std::string> plan_text(const Options& options) {
  TRY_ASSIGN(image::ImageReader reader, image::ImageReader::open(options.images_dir));
  HostEnvironment environment(options.special_mappings);
  TRY_ASSIGN(Plan plan, make_plan(reader.model(), options.policy, environment));
  return to_text(plan);
}

}  // namespace bpfckpt::restore
