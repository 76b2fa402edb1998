// SPDX-License-Identifier: Apache-2.0
// Userfaultfds.
//
// A userfaultfd belongs to the address space of the process that made it (fs/userfaultfd.c), whoever holds it
// now; it is told of faults in the mappings that were registered with it. Kept: features, registered mappings
// and their modes, which pages of private anonymous memory are missing, and which are write-protected. It is
// made in a process that has the address space, and everything else is done by bpfckpt through a descriptor
// of its own.
//
// Refused: one that somebody waits for (a fault or an event would be lost), or whose address space is not of
// the tree; shared, file-backed and huge-page memory (diagnose/findings.cc), where what is missing is what
// the page tables lack; and WP_UNPOPULATED, WP_ASYNC, whose marks on pages that are not there cannot be told
// from swapped ones.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "bpf/records.h"
#include "images/kinds/userfaultfd.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"
#include "model/vm_flags.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint32_t kInitialized = 1u << 31;  // fs/userfaultfd.c: UFFD_FEATURE_INITIALIZED
constexpr std::uint32_t kMarkers =
    1u << 13 | 1u << 15;  // UFFD_FEATURE_WP_UNPOPULATED since 6.4, WP_ASYNC since 6.7
constexpr std::uint64_t kPage = 4096;

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const userfaultfd_record& seen = record.detail.userfaultfd;
  pb::Userfaultfd detail;
  detail.set_create_flags(seen.create_flags & UFFD_USER_MODE_ONLY);
  detail.set_ready((seen.features & kInitialized) != 0);
  detail.set_features(seen.features & ~kInitialized);
  detail.set_waiting_faults(seen.faults != 0);
  detail.set_waiting_events(seen.events != 0);
  file.mutable_detail()->PackFrom(detail);
  return {};
}

// The first living process that has the address space; parents come first.
const pb::Process* owner(const Model& model, std::uint32_t mm_id) {
  for (const pb::Process& process : model.tasks.processes())
    if (process.mm_id() == mm_id && process.state() != pb::ZOMBIE) return &process;
  return nullptr;
}

Result<void> make_inside(PlanBuilder& plan, const pb::File& file) {
  TRY_ASSIGN(pb::Userfaultfd detail, unpack<pb::Userfaultfd>(file.detail(), "userfaultfd"));
  const pb::Process* maker = detail.mm_id() == 0 ? nullptr : owner(plan.model(), detail.mm_id());
  if (maker == nullptr) return fail(Error::bad_image("a userfaultfd of no address space"));
  OpId fd =
      plan.call(maker->pid(), SYS_userfaultfd,
                {O_CLOEXEC | (file.flags() & O_NONBLOCK) | (detail.create_flags() & UFFD_USER_MODE_ONLY)},
                "userfaultfd");
  plan.set_made_inside(file.id(), {maker->pid(), Operand::result(fd)});
  return {};
}

Result<void> plan_mapping(PlanBuilder& plan, Operand fd, const pb::Vma& vma) {
  uffdio_register ask{};
  ask.range = {vma.start(), vma.end() - vma.start()};
  if (vma.flags() & vm::kUffdMissing) ask.mode |= UFFDIO_REGISTER_MODE_MISSING;
  if (vma.flags() & vm::kUffdWp) ask.mode |= UFFDIO_REGISTER_MODE_WP;
  plan.call(kSelf, SYS_ioctl, {fd, UFFDIO_REGISTER, Operand::data(plan.bytes_of(ask))}, "watched mapping");
  for (const pb::Extent& extent : vma.write_protected()) {
    if (extent.offset() < vma.start() || extent.offset() > vma.end() ||
        extent.length() > vma.end() - extent.offset() || extent.offset() % kPage != 0 ||
        extent.length() % kPage != 0)
      return fail(Error::bad_image("write-protected pages outside of the mapping"));
    uffdio_writeprotect protect{{extent.offset(), extent.length()}, UFFDIO_WRITEPROTECT_MODE_WP};
    plan.call(kSelf, SYS_ioctl, {fd, UFFDIO_WRITEPROTECT, Operand::data(plan.bytes_of(protect))},
              "write-protected");
  }
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::Userfaultfd detail, unpack<pb::Userfaultfd>(file.detail(), "userfaultfd"));
  const PlanBuilder::Inside* made = plan.made_inside(file.id());
  if (made == nullptr) return fail(Error::bug("the userfaultfd was not made"));
  if (detail.ready()) {
    uffdio_api api{UFFD_API, detail.features(), 0};
    plan.call(kSelf, SYS_ioctl, {made->fd, UFFDIO_API, Operand::data(plan.bytes_of(api))}, "features");
  }
  const pb::AddressSpace* mm = plan.index().address_space(detail.mm_id());
  if (mm == nullptr) return fail(Error::bad_image("a userfaultfd of no address space"));
  for (const pb::Vma& vma : mm->vmas())
    if (vma.userfaultfd_file_id() == file.id())
      TRY(plan_mapping(plan, made->fd, vma), "mapping at {:#x}", vma.start());
  plan.set_file(file.id(), made->fd);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto detail = unpack<pb::Userfaultfd>(file.detail(), "userfaultfd");
  auto unsupported = [](const char* code, const char* reason) {
    return Finding{Verdict::Unsupported, code, reason, ""};
  };
  if (!detail) return unsupported("userfaultfd", "its details are damaged");
  if (detail->mm_id() == 0)
    return unsupported("userfaultfd-of-outside",
                       "a userfaultfd for the memory of a process outside of the tree");
  if (detail->waiting_faults())
    return unsupported("userfaultfd-fault",
                       "a thread waits in a page fault for what this userfaultfd is told");
  if (detail->waiting_events())
    return unsupported("userfaultfd-event", "a thread waits until its event is read from this userfaultfd");
  if (detail->features() & kMarkers)
    return unsupported(
        "userfaultfd-markers",
        "a userfaultfd that write-protects pages which are not there (WP_UNPOPULATED, WP_ASYNC)");
  return {};
}

}  // namespace

extern const Kind kUserfaultfd = {
    .name = "userfaultfd",
    .kept = "features, registered ranges and modes, pages that are missing or write-protected",
    .not_kept = "the inode number",
    .refused = "a fault or event that waits to be read; shared or file memory; an owner outside of the tree",
    .describe = describe,
    .make_inside = make_inside,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
