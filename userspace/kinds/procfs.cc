// SPDX-License-Identifier: Apache-2.0
// Files and directories of proc.
//
// They are opened by path again, when all processes are made. One that shows a process which was gone already
// (a parent often keeps "/proc/PID/mountinfo" of a child that it has waited for) is opened while a stand-in
// lives under that number, and the stand-in ends at once: what is left then is what was there before. Of a
// process outside of the tree the path leads to whoever has the number at the restore; it must be there.
//
// Kept: position and flags. Not kept: text that the kernel had made for a read(2) that took a part of it (it
// is made anew); the address space that "maps" or "mem" was opened on, where the process has called execve(2)
// since; the credentials with which the file was opened, which some files ask when they are written; changes
// of mounts that poll(2) had not told yet.
#include <fcntl.h>
#include <sys/syscall.h>

#include <charconv>
#include <optional>
#include <vector>

#include "bpf/records.h"
#include "images/kinds/procfs.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"
#include "kinds/procfs.h"

namespace bpfckpt::kinds {

extern const Kind kProcfs;

namespace {

constexpr std::uint32_t kNeverAgain = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY;
constexpr std::uint32_t kHighestPid = 1 << 22;  // PID_MAX_LIMIT

// The last `depth` names of the path.
std::vector<std::string_view> names_in_proc(std::string_view path, std::uint32_t depth) {
  std::vector<std::string_view> names(depth);
  for (std::uint32_t i = depth; i > 0; i--) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return {};
    names[i - 1] = path.substr(slash + 1);
    path = path.substr(0, slash);
  }
  return names;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// N of ".../fd/N" and ".../fdinfo/N".
std::optional<std::uint32_t> shown_descriptor(std::span<const std::string_view> names) {
  if (names.size() > 3 && names[1] == "task") names = names.subspan(2);
  if (names.size() != 3 || (names[1] != "fd" && names[1] != "fdinfo")) return std::nullopt;
  return number(names[2]);
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const procfs_record& seen = record.detail.procfs;
  pb::ProcFile detail;
  if (seen.process != 0) {
    detail.set_owner(seen.alive ? pb::ProcFile::OUTSIDE : pb::ProcFile::GONE);  // settle() knows the tree
    detail.set_process(seen.process);
    if (seen.task != seen.process) detail.set_task(seen.task);
    if (auto fd = shown_descriptor(names_in_proc(file.path().path(), seen.depth))) {
      detail.set_of_descriptor(true);
      // For settle(), which takes it away again.
      detail.set_obstacle(std::to_string(*fd));
    }
  }
  file.mutable_detail()->PackFrom(detail);
  return {};
}

Result<pb::ProcFile> detail_of(const pb::File& file) {
  return unpack<pb::ProcFile>(file.detail(), "file of proc");
}

// Why the file cannot be opened again although its process will be there.
std::string obstacle_in(const pb::ProcFile& detail, std::optional<std::uint32_t> fd,
                        const pb::Process& process, const ModelIndex& index) {
  if (detail.task() != 0 && std::ranges::none_of(process.threads(), [&](const pb::Thread& thread) {
        return thread.tid() == detail.task();
      }))
    return fmt::format("it shows thread {} of process {}, which has ended", detail.task(), process.pid());
  if (!fd) return "";
  if (const pb::FdTable* table = index.fd_table(process.fd_table_id()))
    for (const pb::FdEntry& entry : table->entries()) {
      if (entry.fd() != *fd) continue;
      const pb::File* shown = index.file(entry.file_id());
      auto other = shown != nullptr && shown->kind() == kProcfs.name ? detail_of(*shown) : pb::ProcFile();
      if (other && other->of_descriptor()) return "it shows a descriptor that shows a descriptor itself";
      return "";
    }
  return fmt::format("it shows descriptor {} of process {}, which is closed", *fd, process.pid());
}

Result<void> settle(Model& model) {
  std::optional<ModelIndex> index;
  for (pb::File& file : *model.files.mutable_files()) {
    if (file.kind() != kProcfs.name) continue;
    TRY_ASSIGN(pb::ProcFile detail, detail_of(file));
    if (detail.owner() == pb::ProcFile::NOBODY) continue;
    if (!index) index.emplace(model);
    const std::optional<std::uint32_t> fd = number(detail.obstacle());
    detail.clear_obstacle();
    if (const pb::Process* process = index->process(detail.process())) {
      detail.set_owner(pb::ProcFile::TREE);
      detail.set_obstacle(obstacle_in(detail, fd, *process, *index));
    } else if (detail.owner() == pb::ProcFile::GONE && (detail.task() != 0 || detail.of_descriptor())) {
      detail.set_obstacle(
          fmt::format("it shows a thread or descriptor of process {}, which is gone", detail.process()));
    }
    file.mutable_detail()->PackFrom(detail);
  }
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::ProcFile detail, detail_of(file));
  if (!detail.obstacle().empty()) return fail(Error::bad_image("file of proc: it cannot be opened again"));
  if (file.path().path().empty() || file.path().path().front() != '/')
    return fail(Error::bad_image("file of proc: its path is not absolute"));
  if (detail.owner() == pb::ProcFile::TREE && plan.index().process(detail.process()) == nullptr)
    return fail(Error::bad_image(fmt::format("file of proc: no process {}", detail.process())));
  const std::uint32_t flags = file.flags() & ~kNeverAgain;
  OpId fd = plan.call(kSelf, SYS_openat,
                      {AT_FDCWD, Operand::data(plan.text(file.path().path())), flags | O_CLOEXEC}, "file");
  plan.set_file(file.id(), Operand::result(fd));
  if (file.position() == 0 || (flags & O_PATH)) return {};
  if (file.position() > 0)
    plan.call_expecting(kSelf, static_cast<std::uint64_t>(file.position()), SYS_lseek,
                        {Operand::result(fd), file.position(), SEEK_SET}, "position of file");
  else  // an address in "mem", which is no file offset (FMODE_UNSIGNED_OFFSET): the result looks like an
        // error
    plan.try_call(kSelf, SYS_lseek, {Operand::result(fd), file.position(), SEEK_SET}, "position of file");
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto detail = detail_of(file);
  if (!detail) return {Verdict::Unsupported, "procfs-gone", "what it shows is not known", ""};
  if (!detail->obstacle().empty()) return {Verdict::Unsupported, "procfs-gone", detail->obstacle(), ""};
  if (detail->owner() == pb::ProcFile::NOBODY && file.path().deleted())
    return {Verdict::Unsupported, "procfs-gone", "what it shows does not exist any more", ""};
  if (detail->owner() == pb::ProcFile::OUTSIDE)
    return {Verdict::Ok, "procfs-outside",
            fmt::format("it shows process {}, which is outside of the tree; after a restore it shows who has "
                        "that number then",
                        detail->process()),
            ""};
  return {};
}

}  // namespace

std::uint32_t process_to_stand_in_for(const pb::File& file) {
  if (file.kind() != kProcfs.name) return 0;
  auto detail = detail_of(file);
  if (!detail || detail->owner() != pb::ProcFile::GONE) return 0;
  // A number that no process can have is refused when it is asked for.
  return std::min(detail->process(), kHighestPid);
}

bool shows_descriptor(const pb::File& file) {
  if (file.kind() != kProcfs.name) return false;
  auto detail = detail_of(file);
  return detail && detail->of_descriptor();
}

bool outlives_tree(const pb::File& file) {
  if (file.kind() != kProcfs.name) return false;
  auto detail = detail_of(file);
  return detail && (detail->owner() == pb::ProcFile::NOBODY || detail->owner() == pb::ProcFile::OUTSIDE);
}

extern const Kind kProcfs = {
    .name = "procfs",
    .kept = "which file of which process, also of one that is gone; position, flags",
    .not_kept =
        "text that the kernel had made for a read that took a part of it; the address space of before an "
        "execve(2); credentials of the opening",
    .refused = "what shows an ended thread or a closed descriptor",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
    .settle = settle,
};

}  // namespace bpfckpt::kinds
