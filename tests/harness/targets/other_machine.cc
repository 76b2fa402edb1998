// SPDX-License-Identifier: Apache-2.0
// other_machine vdso|cpu FROM TO: copies a checkpoint, and makes it one of
// - a kernel with another vDSO: the functions are where the programs in it remember them, but nothing of
// their
//   code is left that could be run;
// - a CPU that has all that any of any maker has.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "image/reader.h"
#include "image/writer.h"
#include "kernel/vdso.h"

using namespace bpfckpt;

namespace {

Result<std::vector<std::byte>> contents(const image::ImageReader& reader, const std::string& name) {
  TRY_ASSIGN(const Fd fd, reader.open_raw(name));
  std::vector<std::byte> bytes(static_cast<std::size_t>(reader.size_of(name)));
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t got = ::pread(fd.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (got <= 0) return fail(Error::system(name));
    at += static_cast<std::size_t>(got);
  }
  return bytes;
}

void spoil_vdso(std::vector<std::byte>& bytes, const std::map<std::string, std::uint64_t>& functions) {
  std::size_t first = bytes.size(), last = 0;
  for (const auto& [name, offset] : functions) {
    first = std::min<std::size_t>(first, offset);
    // What follows the code is read by nobody at run time but libelf, which finds its way by the end.
    last = std::max<std::size_t>(last, offset);
  }
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(first),
            bytes.begin() + static_cast<std::ptrdiff_t>(last + 16), std::byte{0xcc});  // int3
}

void give_all(pb::CpuFeatures& cpu) {
  constexpr int kWords = 6;  // leaf and subleaf come first
  for (int i = 0; i < cpu.cpuid_size(); i++)
    if (i % kWords >= 2 && cpu.cpuid(i - i % kWords) != 0) cpu.set_cpuid(i, ~0U);
  cpu.set_xfeatures(~0ULL >> 1);
}

Result<void> copy(bool other_vdso, const std::string& from, const std::string& to) {
  TRY_ASSIGN(const image::ImageReader reader, image::ImageReader::open(from));
  TRY_ASSIGN(image::ImageWriter writer, image::ImageWriter::open(to, {.durable = false}));
  const pb::Manifest& old = reader.manifest();
  const std::set<std::string> metadata = {old.tasks_image(), old.memory_image(), old.files_image()};
  for (const pb::ImageFile& file : old.files()) {
    if (metadata.contains(file.name())) continue;
    TRY_ASSIGN(std::vector<std::byte> bytes, contents(reader, file.name()));
    if (other_vdso && file.name() == old.vdso_image()) {
      TRY_ASSIGN(const auto functions, kernel::vdso_functions(bytes));
      spoil_vdso(bytes, functions);
    }
    TRY_ASSIGN(const image::RawImage image, writer.create_raw(file.name().substr(0, file.name().rfind('.'))));
    if (image.name != file.name()) return fail(Error::bug("another name"));
    if (::pwrite(image.fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      return fail(Error::system(image.name));
  }
  pb::Manifest manifest = old;
  manifest.clear_files();
  if (!other_vdso) give_all(*manifest.mutable_cpu());
  return writer.finish(reader.model(), manifest);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 4 ? argv[1] : "";
  if (what != "vdso" && what != "cpu") return 2;
  auto copied = copy(what == "vdso", argv[2], argv[3]);
  if (copied) return 0;
  std::fprintf(stderr, "%s\n", copied.error().message().c_str());
  return 1;
}
