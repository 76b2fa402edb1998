// SPDX-License-Identifier: Apache-2.0
#include "cmd/core.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>

#include <memory>
#include <utility>
#include <vector>

#include "cmd/core_memory.h"
#include "cmd/core_notes.h"
#include "cmd/text.h"
#include "image/file_io.h"
#include "model/details.h"

namespace bpfckpt {
namespace {

// A file beside its final place, which it takes when it is complete. Mode 0600: it holds what was in memory.
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path) {
    std::string temporary = path + ".XXXXXX";
    Fd fd(mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) return fail(Error::system(fmt::format("create {}", path)));
    return OutputFile(std::move(fd), path, std::move(temporary));
  }
  OutputFile(OutputFile&& other) noexcept
      : fd_(std::move(other.fd_)),
        path_(std::move(other.path_)),
        temporary_(std::exchange(other.temporary_, {})) {}
  ~OutputFile() {
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }
  int fd() const { return fd_.get(); }
  Result<void> publish() {
    if (rename(temporary_.c_str(), path_.c_str()) != 0)
      return fail(Error::system(fmt::format("rename {}", path_)));
    temporary_.clear();
    return {};
  }

 private:
  OutputFile(Fd fd, std::string path, std::string temporary)
      : fd_(std::move(fd)), path_(std::move(path)), temporary_(std::move(temporary)) {}
  Fd fd_;
  std::string path_, temporary_;
};

struct Segment {
  const pb::Vma* vma;
  std::uint64_t offset;     // in the core
  std::uint64_t len_bytes;  // in the core; the rest of the mapping is not known
};

struct Layout {
  std::uint64_t notes_offset;
  std::vector<Segment> segments;
  std::uint64_t end;
};

constexpr std::uint64_t page_up(std::uint64_t value) {
  return (value + kPageSize - 1) / kPageSize * kPageSize;
}

Layout lay_out(const pb::AddressSpace& mm, const CoreMemory& memory, std::size_t notes_len_bytes) {
  Layout layout;
  std::size_t headers = 1 + static_cast<std::size_t>(mm.vmas_size());
  // Room for the one section header that holds the count of segments where e_phnum cannot (PN_XNUM).
  layout.notes_offset = sizeof(Elf64_Ehdr) + headers * sizeof(Elf64_Phdr) + sizeof(Elf64_Shdr);
  std::uint64_t offset = page_up(layout.notes_offset + notes_len_bytes);
  for (const auto& vma : mm.vmas()) {
    std::uint64_t len = memory.known_bytes(vma);
    layout.segments.push_back({&vma, offset, len});
    offset += len;
  }
  layout.end = offset;
  return layout;
}

Failure elf_failure(const char* what) {
  return fail(Error::bug(fmt::format("libelf: {}: {}", what, elf_errmsg(-1))));
}

GElf_Word protection(const pb::Vma& vma) {
  GElf_Word flags = 0;
  if ((vma.flags() & 1) != 0) flags |= PF_R;
  if ((vma.flags() & 2) != 0) flags |= PF_W;
  if ((vma.flags() & 4) != 0) flags |= PF_X;
  return flags;
}

Result<void> write_headers(int fd, const Layout& layout, std::size_t notes_len_bytes) {
  if (elf_version(EV_CURRENT) == EV_NONE) return elf_failure("elf_version");
  std::unique_ptr<Elf, int (*)(Elf*)> elf(elf_begin(fd, ELF_C_WRITE, nullptr), elf_end);
  if (!elf) return elf_failure("elf_begin");
  // We place everything: contents are far larger than what libelf should hold in memory.
  elf_flagelf(elf.get(), ELF_C_SET, ELF_F_LAYOUT);
  if (gelf_newehdr(elf.get(), ELFCLASS64) == nullptr) return elf_failure("gelf_newehdr");
  if (gelf_newphdr(elf.get(), layout.segments.size() + 1) == nullptr) return elf_failure("gelf_newphdr");
  GElf_Ehdr header{};
  if (gelf_getehdr(elf.get(), &header) == nullptr) return elf_failure("gelf_getehdr");
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_CORE;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(Elf64_Ehdr);
  if (layout.segments.size() + 1 >= PN_XNUM) header.e_shoff = layout.notes_offset - sizeof(Elf64_Shdr);
  if (gelf_update_ehdr(elf.get(), &header) == 0) return elf_failure("gelf_update_ehdr");
  GElf_Phdr notes{.p_type = PT_NOTE,
                  .p_flags = 0,
                  .p_offset = layout.notes_offset,
                  .p_vaddr = 0,
                  .p_paddr = 0,
                  .p_filesz = notes_len_bytes,
                  .p_memsz = 0,
                  .p_align = 4};
  if (gelf_update_phdr(elf.get(), 0, &notes) == 0) return elf_failure("gelf_update_phdr");
  for (std::size_t i = 0; i < layout.segments.size(); ++i) {
    const auto& [vma, offset, len] = layout.segments[i];
    GElf_Phdr load{.p_type = PT_LOAD,
                   .p_flags = protection(*vma),
                   .p_offset = offset,
                   .p_vaddr = vma->start(),
                   .p_paddr = 0,
                   .p_filesz = len,
                   .p_memsz = vma->end() - vma->start(),
                   .p_align = kPageSize};
    if (gelf_update_phdr(elf.get(), static_cast<int>(i) + 1, &load) == 0)
      return elf_failure("gelf_update_phdr");
  }
  if (elf_update(elf.get(), ELF_C_WRITE) < 0) return elf_failure("elf_update");
  return {};
}

Result<void> write_memory(int fd, const Layout& layout, const CoreMemory& memory) {
  for (const auto& segment : layout.segments) {
    if (segment.len_bytes == 0) continue;
    const auto& vma = *segment.vma;
    auto write = [&](std::uint64_t address, std::span<const std::byte> bytes) {
      return image::write_fully(fd, {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                segment.offset + (address - vma.start()));
    };
    TRY(memory.copy(vma, segment.len_bytes, write), "mapping {:#x}-{:#x}", vma.start(), vma.end());
  }
  return {};
}

}  // namespace

Result<int> run_core(const CoreOptions& options, std::ostream& out) {
  // What is asked for
  TRY_ASSIGN(auto reader, image::ImageReader::open(options.common.images_dir));
  std::uint32_t pid = options.pid != 0 ? options.pid : reader.manifest().root_pid();
  const auto* process = reader.index().process(pid);
  if (process == nullptr) return fail(Error::usage(fmt::format("no process {} in the checkpoint", pid)));
  const auto* mm = reader.index().address_space(process->mm_id());
  if (mm == nullptr) return fail(Error::usage(fmt::format("process {} is a zombie: it has no memory", pid)));

  // What there is, and where it goes
  TRY_ASSIGN(auto memory, CoreMemory::open(reader, *mm));
  TRY_ASSIGN(std::string notes, core_notes(*process, reader.index(), memory));
  Layout layout = lay_out(*mm, memory, notes.size());

  // The file
  std::string path = options.output_path.empty() ? fmt::format("core.{}", pid) : options.output_path;
  TRY_ASSIGN(auto file, OutputFile::create(path));
  TRY(write_headers(file.fd(), layout, notes.size()), "{}", path);
  if (ftruncate(file.fd(), static_cast<off_t>(layout.end)) != 0)
    return fail(Error::system("ftruncate").in(path));
  TRY(image::write_fully(file.fd(), notes, layout.notes_offset), "{}", path);
  TRY(write_memory(file.fd(), layout, memory), "{}", path);
  TRY(file.publish());

  out << fmt::format("{}: core of process {}, {}\n", path, pid, human_size(layout.end));
  for (const auto& missing : memory.missing_files())
    out << fmt::format("left out: {}: not here, or not the file that was mapped\n", missing);
  return 0;
}

}  // namespace bpfckpt
