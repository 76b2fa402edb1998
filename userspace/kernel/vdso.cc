// SPDX-License-Identifier: Apache-2.0
#include "kernel/vdso.h"

#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <memory>

namespace bpfckpt::kernel {
namespace {

Error damaged(const char* what) {
  return Error::bad_image(fmt::format("the vDSO in the checkpoint is damaged: {}", what));
}

// The functions, one for each address, in the order of their addresses.
std::map<std::uint64_t, std::string> by_address(const std::map<std::string, std::uint64_t>& functions) {
  std::map<std::uint64_t, std::string> out;
  // "__vdso_time" sorts before its other name "time", and is the one that every kernel has.
  for (const auto& [name, offset] : functions) out.try_emplace(offset, name);
  return out;
}

}  // namespace

Result<std::map<std::string, std::uint64_t>> vdso_functions(std::span<const std::byte> image) {
  if (::elf_version(EV_CURRENT) == EV_NONE) return fail(Error::bug("libelf is too old"));
  // libelf does not write into it, but its interface does not say so.
  auto* bytes = reinterpret_cast<char*>(const_cast<std::byte*>(image.data()));
  std::unique_ptr<Elf, decltype(&::elf_end)> elf(::elf_memory(bytes, image.size()), ::elf_end);
  if (!elf || ::elf_kind(elf.get()) != ELF_K_ELF) return fail(damaged("it is no ELF image"));
  std::map<std::string, std::uint64_t> functions;
  for (Elf_Scn* section = nullptr; (section = ::elf_nextscn(elf.get(), section)) != nullptr;) {
    GElf_Shdr header;
    if (::gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_DYNSYM) continue;
    Elf_Data* data = ::elf_getdata(section, nullptr);
    if (data == nullptr || header.sh_entsize == 0) return fail(damaged("its symbols cannot be read"));
    GElf_Sym symbol;
    for (int i = 0; ::gelf_getsym(data, i, &symbol) != nullptr; i++) {
      if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
      const char* name = ::elf_strptr(elf.get(), header.sh_link, symbol.st_name);
      if (name == nullptr || symbol.st_value >= image.size())
        return fail(damaged("a symbol leads out of it"));
      functions.emplace(name, symbol.st_value);
    }
  }
  if (functions.empty()) return fail(damaged("it has no functions"));
  return functions;
}

Result<std::vector<std::byte>> lead_over(std::span<const std::byte> old_image,
                                         std::span<const std::byte> image, std::uint64_t address) {
  TRY_ASSIGN(const auto old_functions, vdso_functions(old_image));
  TRY_ASSIGN(const auto functions, vdso_functions(image), "this kernel's");
  std::vector<std::byte> out(old_image.begin(), old_image.end());
  const auto places = by_address(old_functions);
  for (auto it = places.begin(); it != places.end(); ++it) {
    const auto& [offset, name] = *it;
    auto same = functions.find(name);
    const std::vector<std::byte> code =
        same != functions.end() ? jump_to(address + same->second) : call_instead_of(name);
    const std::uint64_t end = std::next(it) == places.end() ? out.size() : std::next(it)->first;
    if (code.empty() && works_by_itself(name)) continue;
    if (code.empty())
      return fail(Error::conflict(fmt::format(
          "the tree was taken on a kernel whose vDSO has a function {}, which this kernel's has not", name)));
    if (code.size() > end - offset)
      return fail(Error::conflict(
          fmt::format("the vDSO's function {} leaves no room for a jump to this kernel's", name)));
    std::ranges::copy(code, out.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  return out;
}

}  // namespace bpfckpt::kernel
