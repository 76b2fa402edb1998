// SPDX-License-Identifier: Apache-2.0
// Loading costs some 35 ms, most of it for reading the kernel's type information; opening five pins 0.1 ms. A
// pinned set lies in a directory of its own, named after what was loaded and the boot, which is renamed into
// place when it is whole: a run that was killed while pinning leaves nothing that another would take.
#include "collect/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>
#include <string_view>

#include "base/log.h"
#include "bpf/bpfckpt.skel.h"
#include "kernel/bpffs.h"
#include "kernel/yama.h"

namespace bpfckpt::collect {
namespace {

// In the order of enum Program; last the map.
constexpr std::array<const char*, kPrograms + 1> kNames = {
    "list_tasks", "dump_tasks", "dump_timers", "dump_files", "dump_vmas",    "walk_epoll",   "walk_marks",
    "walk_locks", "walk_unix",  "walk_urings", "walk_inet",  "walk_mqueues", "walk_requests"};

using Skeleton = std::unique_ptr<bpfckpt_bpf, void (*)(bpfckpt_bpf*)>;
using ProgramFds = std::array<Fd, kPrograms + 1>;

// libbpf's own words, at the level where nobody sees them unless they are asked for; the verifier's log among
// them.
int log_libbpf(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  va_list again;  // the verifier's log has no bound
  va_copy(again, arguments);
  const int len = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  std::string text(static_cast<std::size_t>(std::max(len, 0)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) log::debug("libbpf: {}", line);
  return 0;
}

Result<std::string> pin_name() {
  std::size_t len_bytes = 0;
  const void* bytes = bpfckpt_bpf::elf_bytes(&len_bytes);
  return kernel::name_of_build({static_cast<const std::byte*>(bytes), len_bytes});
}

// All programs of a pinned set; Error::System with ENOENT where there is none.
Result<ProgramFds> open_pins(const std::string& directory) {
  ProgramFds fds;
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const int fd = ::bpf_obj_get(fmt::format("{}/{}", directory, kNames[i]).c_str());
    if (fd < 0) return fail(Error::system(kNames[i], -fd));
    fds[i].reset(fd);
  }
  return fds;
}

// Types that this kernel has not (they are another kernel's) libbpf looks for in the kernel's modules, too,
// which takes CAP_SYS_ADMIN (BPF_BTF_GET_NEXT_ID). It does not where it was told whose types to use: the same
// that it takes by itself, which it reads twice then.
enum class Types { OfKernelAndModules, OfKernel };

// 0, or -errno of what could not be loaded.
Result<int> try_load(Types types, std::uint64_t ptracer_relations, Skeleton& skeleton) {
  LIBBPF_OPTS(bpf_object_open_opts, options);
  if (types == Types::OfKernel) options.btf_custom_path = "/sys/kernel/btf/vmlinux";
  skeleton.reset(bpfckpt_bpf::open(&options));
  if (!skeleton) return fail(Error::system("open BPF object"));
  const int cpus = ::libbpf_num_possible_cpus();
  if (cpus < 0) return fail(Error::system("possible cpus", -cpus));
  skeleton->rodata->cpu_mask_bytes = static_cast<__u32>((cpus + 63) / 64 * 8);
  skeleton->rodata->ptracer_relations = ptracer_relations;
  return bpfckpt_bpf::load(skeleton.get());
}

Result<ProgramFds> load() {
  ::libbpf_set_print(log_libbpf);
  Skeleton skeleton(nullptr, bpfckpt_bpf::destroy);
  const std::uint64_t ptracer_relations = kernel::ptracer_relations();
  TRY_ASSIGN(int err, try_load(Types::OfKernelAndModules, ptracer_relations, skeleton));
  if (err == -EPERM) {
    TRY_ASSIGN(err, try_load(Types::OfKernel, ptracer_relations, skeleton));
  }
  if (err != 0)
    return fail(
        Error::missing_feature(fmt::format("load BPF programs (needs CAP_BPF and CAP_PERFMON, and a kernel "
                                           "with BTF; -v4 shows libbpf's words): {}",
                                           std::strerror(-err))));
  ProgramFds fds;
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const bpf_program* program = ::bpf_object__find_program_by_name(skeleton->obj, kNames[i]);
    const int own = program ? ::bpf_program__fd(program) : ::bpf_map__fd(skeleton->maps.walk_requests);
    const int fd = ::fcntl(own, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return fail(Error::system(kNames[i]));
    fds[i].reset(fd);
  }
  return fds;
}

void remove_set(const std::string& directory) {
  for (const char* name : kNames) ::unlink(fmt::format("{}/{}", directory, name).c_str());
  ::rmdir(directory.c_str());
}

Result<void> pin(const ProgramFds& fds, const std::string& directory) {
  const std::string temporary = fmt::format("{}-{}", directory, ::getpid());  // no dots: bpffs refuses them
  if (::mkdir(temporary.c_str(), 0700) != 0) return fail(Error::system(temporary));
  for (std::size_t i = 0; i < fds.size(); ++i) {
    if (const int err = ::bpf_obj_pin(fds[i].get(), fmt::format("{}/{}", temporary, kNames[i]).c_str());
        err != 0) {
      remove_set(temporary);
      return fail(Error::system(kNames[i], -err));
    }
  }
  if (::rename(temporary.c_str(), directory.c_str()) != 0) {
    const Error error = Error::system(directory);
    remove_set(temporary);
    if (error.err() != EEXIST && error.err() != ENOTEMPTY)
      return fail(error);  // else: another run was quicker
  }
  return {};
}

}  // namespace

Result<Programs> Programs::open(bool use_cache) {
  Programs programs;
  std::string directory;
  if (use_cache) {
    auto cache = kernel::PinDirectory::open();
    auto name = pin_name();
    if (cache && name) {
      directory = fmt::format("{}/{}", cache->path(), *name);
      if (auto fds = open_pins(directory)) {
        programs.fds_ = std::move(*fds);
        programs.from_cache_ = true;
        return programs;
      }
    } else {
      log::info("BPF programs are loaded each time: {}", (cache ? name.error() : cache.error()).message());
    }
  }
  TRY_ASSIGN(programs.fds_, load());
  if (!directory.empty())
    if (auto pinned = pin(programs.fds_, directory); !pinned)
      log::info("BPF programs are not kept: {}", pinned.error().message());
  return programs;
}

}  // namespace bpfckpt::collect
