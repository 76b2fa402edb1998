// SPDX-License-Identifier: Apache-2.0
// What no kind recognised: refused, under the name that the kernel gives it, with what is known of why and of
// what would help.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include "bpf/records.h"
#include "kinds/kind.h"
#include "model/details.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint32_t kFmodePath = 0x4000;  // include/linux/fs.h: FMODE_PATH

// By the beginning of the name that people see in /proc/PID/fd.
struct Known {
  std::string_view name;
  std::string_view reason;
};
constexpr Known kKnown[] = {
    {"place of ", "opened with O_PATH, it is nothing but a name without a place; closing it helps"},
    {"anon_inode:[userfaultfd]", "userfaultfd: who waits for its pages is the kernel's alone"},
    {"anon_inode:[perf_event]", "perf event: counters and what they are attached to are the kernel's alone"},
    {"anon_inode:bpf", "BPF: programs, maps and links are loaded into this kernel"},
    {"anon_inode:btf", "BPF: type information is loaded into this kernel"},
    {"anon_inode:[landlock-ruleset]", "Landlock: the rules of a ruleset cannot be read back"},
    {"anon_inode:seccomp notify", "seccomp: calls that wait for an answer are the kernel's alone"},
    {"anon_inode:kvm-", "KVM: the state of a virtual machine; its own program has to save that"},
    {"anon_inode:[vfio", "VFIO: a device that works on the program's memory"},
    {"anon_inode:sync_file", "a fence: work of a device that is not done yet"},
    {"anon_inode:[fscontext]", "a file system that is about to be mounted (fsopen)"},
    {"anon_inode:[fs", "the state of a mount that is being made"},
    {"watch queue", "a pipe of kernel notifications (O_NOTIFICATION_PIPE): its watches cannot be asked for"},
    {"DMA buffer", "memory of a device (DMA buffer); its driver alone can make it"},
    {"secret memory", "memfd_secret: its pages cannot be reached by the kernel itself, nor by us"},
};

std::string operations_name(const file_record& record) {
  constexpr std::uint64_t kSecretMem = 0x5345434d, kDmaBuf = 0x444d4142;  // *_MAGIC
  std::string name = printable({record.name, ::strnlen(record.name, sizeof record.name)});
  if (record.inode.magic == ANON_INODE_FS_MAGIC) return "anon_inode:" + name;
  if (record.inode.magic == kSecretMem) return "secret memory";
  if (record.inode.magic == kDmaBuf) return "DMA buffer";
  if (S_ISFIFO(record.inode.mode)) return "watch queue";
  return fmt::format("{} (file system {:#x})", name.empty() ? "a file without a name" : name,
                     record.inode.magic);
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  file.set_operations(((record.open_mode & kFmodePath) != 0 ? "place of " : "") + operations_name(record));
  return {};
}

Result<void> plan(PlanBuilder&, const pb::File& file, const pb::FileObject*) {
  return fail(Error::bad_image(fmt::format("a file of an unsupported kind: {}", file.operations())));
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  const std::string& name = file.operations();
  for (const Known& known : kKnown)
    if (name.starts_with(known.name))
      return {Verdict::Unsupported, "unsupported-file", fmt::format("{}: {}", name, known.reason), ""};
  std::string hint;
  // Anonymous inodes are one inode for all.
  if (!name.starts_with("anon_inode:"))
    hint = fmt::format("--external file[{:x}:{:x}]", file.path().mount_id(), file.inode().number());
  return {Verdict::Unsupported, "unsupported-file",
          fmt::format("{} is not known, and so not supported", name), std::move(hint)};
}

}  // namespace

extern const Kind kUnsupported = {
    .name = "unsupported",
    .kept = "nothing: what no other row names",
    .not_kept = "everything",
    .refused = "always, under the name that the kernel gives it; `--external` leaves it to `--inherit-fd`",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
