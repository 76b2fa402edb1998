// SPDX-License-Identifier: Apache-2.0
// Address spaces and mappings.
#include <cstring>

#include "collect/builder.h"
#include "images/kinds/userfaultfd.pb.h"
#include "model/details.h"
#include "model/vm_flags.h"

namespace bpfckpt::collect {
namespace {

// mm->flags, where a core dump's filter is: include/linux/sched/coredump.h, MMF_DUMP_FILTER_SHIFT and _BITS.
constexpr int kDumpFilterShift = 2;
constexpr std::uint64_t kDumpFilterMask = 0x1ff;

std::uint32_t constexpr kPolicyModeFlags = 7 << 13;  // include/uapi/linux/mempolicy.h: MPOL_MODE_FLAGS

}  // namespace

pb::MemoryPolicy to_memory_policy(const mempolicy_part& part) {
  pb::MemoryPolicy policy;
  policy.set_mode(part.mode | (part.flags & kPolicyModeFlags));
  policy.set_nodes(part.nodes);
  policy.set_home_node(part.home_node);
  return policy;
}

void Builder::add_address_space(const mm_record& record) {
  groups_[record.tgid].mm = &record;
  const auto [id, fresh] = mm_ids_.intern(record.mm);
  last_space_ = nullptr;
  if (id == 0 || spaces_.contains(id)) return;
  pb::AddressSpace* space = model_.memory.add_address_spaces();
  spaces_[id] = last_space_ = space;
  space->set_id(id);
  space->set_start_code(record.start_code);
  space->set_end_code(record.end_code);
  space->set_start_data(record.start_data);
  space->set_end_data(record.end_data);
  space->set_start_brk(record.start_brk);
  space->set_brk(record.brk);
  space->set_start_stack(record.start_stack);
  space->set_arg_start(record.arg_start);
  space->set_arg_end(record.arg_end);
  space->set_env_start(record.env_start);
  space->set_env_end(record.env_end);
  const std::uint32_t words = std::min<std::uint32_t>(record.auxv_words, RECORD_AUXV_WORDS) & ~1u;
  for (std::uint32_t i = 0; i < words; i += 2) {
    space->add_auxv(record.auxv[i]);
    space->add_auxv(record.auxv[i + 1]);
    if (record.auxv[i] == 0) break;  // AT_NULL
  }
  space->set_dumpable(record.dumpable);
  space->set_thp_disabled((record.flags & (MM_THP_DISABLED | MM_THP_EXCEPT_ADVISED)) != 0);
  space->set_thp_except_advised((record.flags & MM_THP_EXCEPT_ADVISED) != 0);
  if ((record.flags & MM_MDWE) != 0) space->set_mdwe((record.flags & MM_MDWE_NO_INHERIT) != 0 ? 3 : 1);
  space->set_merge_any((record.flags & MM_MERGE_ANY) != 0);
  space->set_def_flags(record.def_flags);
  // Bit 0 alone is every process's on a machine with keys.
  if (record.protection_keys > 1) space->set_protection_keys(record.protection_keys);
  if (record.execute_only_key > 0)
    space->set_execute_only_key(static_cast<std::uint32_t>(record.execute_only_key));
  space->set_coredump_filter(
      static_cast<std::uint32_t>(record.raw_flags >> kDumpFilterShift & kDumpFilterMask));
}

Result<void> Builder::add_vma(const vma_record& record) {
  last_vma_ = nullptr;
  last_vma_record_ = &record;
  pb::AddressSpace*& space = spaces_[mm_ids_.intern(record.mm).id];
  if (space == nullptr) {  // a process that began to exit between the two passes
    space = model_.memory.add_address_spaces();
    space->set_id(mm_ids_.intern(record.mm).id);
  }
  // A pass by process may bring an address space again for a thread that has its own descriptors.
  if (!space->vmas().empty() && space->vmas().rbegin()->end() > record.start) return {};
  pb::Vma* vma = space->add_vmas();
  last_vma_ = vma;
  vma->set_start(record.start);
  vma->set_end(record.end);
  vma->set_flags(record.vm_flags);
  vma->set_growsdown((record.vm_flags & vm::kGrowsDown) != 0);
  if (record.userfaultfd != 0) watched_vmas_.emplace_back(vma, record.userfaultfd);
  if (record.memory_policy.present != 0)
    *vma->mutable_memory_policy() = to_memory_policy(record.memory_policy);
  if (record.memory_policy.more_nodes != 0) vma->mutable_memory_policy()->set_mode(UINT32_MAX);
  if ((record.flags & VMA_SPECIAL) != 0) vma->set_kind(pb::SPECIAL);
  if ((record.flags & (VMA_SPECIAL | VMA_ANON_NAME)) != 0) vma->set_name(printable(name_string(record)));
  if ((record.flags & VMA_FILE_TOLD) != 0) {
    const std::uint32_t id = file_ids_.find(record.file);
    if (id == 0) return fail(Error::bug("a mapping's file was not told"));
    set_vma_file(*vma, record, *files_[id - 1]);
    references_[id]++;
  }
  return {};
}

void Builder::add_aio_ring(const aio_ring_record& record) {
  auto it = spaces_.find(mm_ids_.intern(record.mm).id);
  if (it == spaces_.end()) return;
  pb::AddressSpace& space = *it->second;
  // A thread with descriptors of its own brings the address space once more.
  for (const pb::AioRing& known : space.aio_rings())
    if (known.address() == record.address) return;
  pb::AioRing& ring = *space.add_aio_rings();
  ring.set_address(record.address);
  ring.set_size_bytes(record.size_bytes);
  ring.set_max_requests(record.max_requests);
  ring.set_slots(record.slots);
  ring.set_tail(record.tail);
  ring.set_in_flight(record.in_flight);
  ring.set_polls(record.polls);
}

// Who watches which mapping: contexts are known by their descriptors, which come after the mappings.
Result<void> Builder::settle_userfaultfds() {
  std::unordered_map<std::uint64_t, std::uint32_t> files;
  for (const Userfaultfd& it : userfaultfds_) {
    files.emplace(it.context, it.file->id());
    pb::Userfaultfd detail;
    if (!it.file->detail().UnpackTo(&detail)) return fail(Error::bug("details of a userfaultfd"));
    const std::uint32_t mm = mm_ids_.intern(it.mm).id;
    detail.set_mm_id(spaces_.contains(mm) ? mm : 0);
    it.file->mutable_detail()->PackFrom(detail);
  }
  for (auto& [vma, context] : watched_vmas_) {
    auto it = files.find(context);
    vma->set_userfaultfd_file_id(it != files.end() ? it->second : kNobodysUserfaultfd);
  }
  return {};
}

// VM_SHARED goes from a shared mapping of a file that was opened for reading only; VM_MAYSHARE stays
// (mm/mmap.c).
void Builder::set_vma_file(pb::Vma& vma, const vma_record& record, const pb::File& file) {
  const bool shared = (record.vm_flags & vm::kMayShare) != 0;
  const bool nameless = file.kind() == "shmem" && file.path().path() == "/dev/zero";
  vma.set_file_id(file.id());
  vma.set_file_offset(record.pgoff * kPageSize);
  vma.set_kind(!shared ? pb::FILE_PRIVATE : nameless ? pb::ANONYMOUS_SHARED : pb::FILE_SHARED);
}

}  // namespace bpfckpt::collect
