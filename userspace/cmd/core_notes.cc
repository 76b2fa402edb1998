// SPDX-License-Identifier: Apache-2.0
#include "cmd/core_notes.h"

#include <elf.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <vector>

#include "model/details.h"

namespace bpfckpt {
namespace {

void align(std::string& bytes) {
  bytes.resize((bytes.size() + 3) / 4 * 4);
}

void add_note(std::string& notes, std::string_view owner, std::uint32_t type, std::string_view content) {
  Elf64_Nhdr header{.n_namesz = static_cast<Elf64_Word>(owner.size() + 1),
                    .n_descsz = static_cast<Elf64_Word>(content.size()),
                    .n_type = type};
  notes.append(reinterpret_cast<const char*>(&header), sizeof(header));
  notes.append(owner);
  notes.push_back('\0');
  align(notes);
  notes.append(content);
  align(notes);
}

template <class T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

template <class Pending>
std::uint64_t pending_mask(const Pending& pending) {
  std::uint64_t mask = 0;
  for (const auto& bytes : pending) {
    siginfo_t info;
    std::memcpy(&info, bytes.data(), sizeof(info));  // validate() has seen the size
    if (info.si_signo >= 1 && info.si_signo <= 64) mask |= 1ULL << (info.si_signo - 1);
  }
  return mask;
}

elf_prpsinfo process_info(const pb::Process& process, const ModelIndex& index, std::string arguments) {
  elf_prpsinfo info{};
  bool stopped = process.state() == pb::STOPPED;
  info.pr_state = stopped ? 3 : 0;
  info.pr_sname = stopped ? 'T' : 'R';
  info.pr_nice = static_cast<char>(process.threads(0).scheduling().nice());
  if (const auto* credentials = index.credentials(process.threads(0).credentials_id())) {
    info.pr_uid = credentials->ruid();
    info.pr_gid = credentials->rgid();
  }
  info.pr_pid = static_cast<int>(process.pid());
  info.pr_ppid = static_cast<int>(process.parent_pid());
  info.pr_pgrp = static_cast<int>(process.pgid());
  info.pr_sid = static_cast<int>(process.sid());
  process.threads(0).comm().copy(info.pr_fname, sizeof(info.pr_fname) - 1);
  std::ranges::replace(arguments, '\0', ' ');
  arguments.copy(info.pr_psargs, sizeof(info.pr_psargs) - 1);
  return info;
}

elf_prstatus thread_status(const pb::Process& process, const pb::Thread& thread) {
  elf_prstatus status{};
  status.pr_info.si_signo = static_cast<int>(process.stop_signal());
  status.pr_cursig = static_cast<short>(process.stop_signal());
  status.pr_sigpend = pending_mask(thread.pending());
  status.pr_sighold = thread.blocked();
  status.pr_pid = static_cast<int>(thread.tid());
  status.pr_ppid = static_cast<int>(process.parent_pid());
  status.pr_pgrp = static_cast<int>(process.pgid());
  status.pr_sid = static_cast<int>(process.sid());
  static_assert(sizeof(status.pr_reg) == sizeof(user_regs_struct));
  std::memcpy(&status.pr_reg, thread.registers().data(), sizeof(status.pr_reg));
  status.pr_fpvalid = 1;
  return status;
}

void add_registers(std::string& notes, const pb::Thread& thread) {
  // The extended state begins with what fxsave writes, and that is the floating point register set; the bytes
  // that it leaves to software say in the former which components are valid, and are zero in the latter.
  user_fpregs_struct legacy;
  constexpr std::size_t kSoftwareBytes = 464;
  std::memcpy(&legacy, thread.xstate().data(), sizeof(legacy));  // validate() has seen the size
  std::memset(reinterpret_cast<char*>(&legacy) + kSoftwareBytes, 0, sizeof(legacy) - kSoftwareBytes);
  add_note(notes, "CORE", NT_FPREGSET, bytes_of(legacy));
  if (thread.xstate().size() > sizeof(legacy)) add_note(notes, "LINUX", NT_X86_XSTATE, thread.xstate());
}

std::string mapped_files(const pb::AddressSpace& mm, const ModelIndex& index) {
  std::vector<std::uint64_t> numbers{0, kPageSize};
  std::string names;
  for (const auto& vma : mm.vmas()) {
    const auto* file = index.file(vma.file_id());
    if (file == nullptr || vma.kind() == pb::SPECIAL) continue;
    numbers.insert(numbers.end(), {vma.start(), vma.end(), vma.file_offset() / kPageSize});
    names += file->path().path();
    if (file->path().deleted()) names += " (deleted)";
    names.push_back('\0');
    ++numbers[0];
  }
  return std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(numbers[0])) +
         names;
}

}  // namespace

Result<std::string> core_notes(const pb::Process& process, const ModelIndex& index,
                               const CoreMemory& memory) {
  const auto& mm = *index.address_space(process.mm_id());
  std::string arguments;
  if (mm.arg_end() > mm.arg_start()) {
    std::uint64_t len = std::min<std::uint64_t>(mm.arg_end() - mm.arg_start(), ELF_PRARGSZ);
    TRY_ASSIGN(arguments, memory.read_pages(mm.arg_start(), len));
  }
  std::string notes;
  bool first = true;
  for (const auto& thread : process.threads()) {
    if (thread.exited()) continue;
    // The process's notes follow the first thread's status; that thread is the one that gdb selects.
    add_note(notes, "CORE", NT_PRSTATUS, bytes_of(thread_status(process, thread)));
    if (first) {
      add_note(notes, "CORE", NT_PRPSINFO, bytes_of(process_info(process, index, std::move(arguments))));
      siginfo_t signal{};
      signal.si_signo = static_cast<int>(process.stop_signal());
      add_note(notes, "CORE", NT_SIGINFO, bytes_of(signal));
      add_note(
          notes, "CORE", NT_AUXV,
          {reinterpret_cast<const char*>(mm.auxv().data()), static_cast<std::size_t>(mm.auxv_size()) * 8});
      add_note(notes, "CORE", NT_FILE, mapped_files(mm, index));
      first = false;
    }
    add_registers(notes, thread);
  }
  return notes;
}

}  // namespace bpfckpt
