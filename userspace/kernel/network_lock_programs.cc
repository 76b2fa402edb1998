// SPDX-License-Identifier: Apache-2.0
#include "kernel/network_lock_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/log.h"
#include "bpf/network_lock.skel.h"
#include "kernel/bpffs.h"
#include "kernel/network_bpf.h"

namespace bpfckpt::kernel {
namespace {

using Skeleton = std::unique_ptr<network_lock_bpf, void (*)(network_lock_bpf*)>;
using Code = std::vector<bpf_insn>;

// In kept code a map is told by its number.
enum : std::int32_t { kConnections = 0, kState = 1 };

constexpr std::size_t kMostInstructions = 4096;

Result<Fd> make_map(bpf_map_type type, const char* name, std::uint32_t key, std::uint32_t value,
                    std::uint32_t entries, std::uint32_t flags) {
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = flags;
  const int fd = ::bpf_map_create(type, name, key, value, entries, &options);
  if (fd < 0) return fail(Error::system(fmt::format("a map of {}", name), -fd));
  return Fd(fd);
}

Result<Fd> make_state() {
  return make_map(BPF_MAP_TYPE_ARRAY, "state", sizeof(std::uint32_t), sizeof(lock_state), 1, 0);
}

bool names_map(const bpf_insn& instruction) {
  return instruction.code == (BPF_LD | BPF_IMM | BPF_DW) && instruction.src_reg == BPF_PSEUDO_MAP_FD;
}

Result<Fd> load_code(LockMethod method, Code code, const LockPrograms& lock) {
  for (bpf_insn& instruction : code)
    if (names_map(instruction))
      instruction.imm = (instruction.imm == kState ? lock.state : lock.connections).get();
  const bool netfilter = method == LockMethod::Netfilter;
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  if (netfilter) options.expected_attach_type = static_cast<bpf_attach_type>(kAttachNetfilter);
  const int fd =
      ::bpf_prog_load(netfilter ? static_cast<bpf_prog_type>(kProgramNetfilter) : BPF_PROG_TYPE_SCHED_CLS,
                      "network_lock", "GPL", code.data(), code.size(), &options);
  if (fd < 0) return fail(Error::system("load the network lock", -fd));
  return Fd(fd);
}

std::vector<bpf_program*> wanted_programs(LockMethod method, const network_lock_bpf& skeleton) {
  if (method == LockMethod::Netfilter) return {skeleton.progs.lock_hook};
  return {skeleton.progs.lock_in, skeleton.progs.lock_out};
}

// By libbpf, with these maps. `codes`: what it made of the programs; empty, if that cannot be used again.
Result<void> load_object(LockMethod method, LockPrograms& lock, std::vector<Code>& codes) {
  ::libbpf_set_print([](libbpf_print_level level, const char* format, va_list arguments) {
    if (level == LIBBPF_DEBUG) return 0;
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    log::debug("libbpf: {}", line);
    return 0;
  });
  Skeleton skeleton(network_lock_bpf::open(), network_lock_bpf::destroy);
  if (!skeleton) return fail(Error::system("open the network lock's BPF object"));
  const bool netfilter = method == LockMethod::Netfilter;
  ::bpf_program__set_type(skeleton->progs.lock_hook, static_cast<bpf_prog_type>(kProgramNetfilter));
  ::bpf_program__set_expected_attach_type(skeleton->progs.lock_hook,
                                          static_cast<bpf_attach_type>(kAttachNetfilter));
  ::bpf_program__set_autoload(skeleton->progs.lock_hook, netfilter);
  ::bpf_program__set_autoload(skeleton->progs.lock_in, !netfilter);
  ::bpf_program__set_autoload(skeleton->progs.lock_out, !netfilter);
  if (::bpf_map__reuse_fd(skeleton->maps.connections, lock.connections.get()) != 0 ||
      ::bpf_map__reuse_fd(skeleton->maps.state, lock.state.get()) != 0)
    return fail(Error::system("the network lock's maps"));
  if (const int err = network_lock_bpf::load(skeleton.get()); err != 0)
    return fail(
        Error::missing_feature(fmt::format("load the network lock's BPF programs: {}", std::strerror(-err))));
  const int connections = ::bpf_map__fd(skeleton->maps.connections),
            state = ::bpf_map__fd(skeleton->maps.state);
  for (bpf_program* program : wanted_programs(method, *skeleton)) {
    lock.programs.emplace_back(::fcntl(::bpf_program__fd(program), F_DUPFD_CLOEXEC, 0));
    if (!lock.programs.back()) return fail(Error::system("the network lock's programs"));
    const std::size_t count = ::bpf_program__insn_cnt(program);
    codes.emplace_back(::bpf_program__insns(program), ::bpf_program__insns(program) + count);
  }
  for (Code& code : codes) {
    bool usable = code.size() <= kMostInstructions;
    for (bpf_insn& instruction : code) {
      if (!names_map(instruction)) continue;
      usable = usable && (instruction.imm == connections || instruction.imm == state);
      instruction.imm = instruction.imm == state ? kState : kConnections;
    }
    if (usable) continue;
    codes.clear();
    break;
  }
  return {};
}

// A map of one program a value: how many instructions, in a word of their size, and they.
Result<void> keep_codes(const std::vector<Code>& codes, const std::string& pin) {
  std::size_t most = 0;
  for (const Code& code : codes) most = std::max(most, code.size());
  TRY_ASSIGN(const Fd map, make_map(BPF_MAP_TYPE_ARRAY, "lock_code", sizeof(std::uint32_t),
                                    static_cast<std::uint32_t>((most + 1) * sizeof(bpf_insn)),
                                    static_cast<std::uint32_t>(codes.size()), 0));
  for (std::uint32_t i = 0; i < codes.size(); i++) {
    std::vector<bpf_insn> value(most + 1);
    const std::uint64_t count = codes[i].size();
    std::memcpy(value.data(), &count, sizeof count);
    std::ranges::copy(codes[i], value.begin() + 1);
    if (const int err = ::bpf_map_update_elem(map.get(), &i, value.data(), BPF_ANY); err != 0)
      return fail(Error::system("keep the network lock's code", -err));
  }
  if (const int err = ::bpf_obj_pin(map.get(), pin.c_str()); err != 0 && err != -EEXIST)
    return fail(Error::system(pin, -err));
  return {};
}

// Empty: there are none, or none that can be used.
std::vector<Code> kept_codes(const std::string& pin, std::size_t programs) {
  Fd map(::bpf_obj_get(pin.c_str()));
  bpf_map_info info{};
  std::uint32_t len = sizeof info;
  if (!map || ::bpf_obj_get_info_by_fd(map.get(), &info, &len) != 0 || info.type != BPF_MAP_TYPE_ARRAY ||
      info.max_entries != programs || info.value_size % sizeof(bpf_insn) != 0 ||
      info.value_size > (kMostInstructions + 1) * sizeof(bpf_insn))
    return {};
  std::vector<Code> codes;
  std::vector<bpf_insn> value(info.value_size / sizeof(bpf_insn));
  for (std::uint32_t i = 0; i < programs; i++) {
    if (::bpf_map_lookup_elem(map.get(), &i, value.data()) != 0) return {};
    std::uint64_t count = 0;
    std::memcpy(&count, value.data(), sizeof count);
    if (count == 0 || count >= value.size()) return {};
    codes.emplace_back(value.begin() + 1, value.begin() + 1 + static_cast<std::ptrdiff_t>(count));
  }
  return codes;
}

// Empty: nothing can be kept on this machine.
std::string code_pin(LockMethod method) {
  auto pins = PinDirectory::open();
  std::size_t len_bytes = 0;
  const void* object = network_lock_bpf::elf_bytes(&len_bytes);
  auto name = name_of_build({static_cast<const std::byte*>(object), len_bytes});
  if (!pins || !name) return {};
  return fmt::format("{}/code-{}-{}", pins->path(), *name, static_cast<int>(method));
}

// `lock` has its maps.
Result<LockPrograms> load(LockMethod method, LockPrograms lock) {
  const std::string pin = code_pin(method);
  if (!pin.empty()) {
    for (Code& code : kept_codes(pin, method == LockMethod::Netfilter ? 1 : 2)) {
      auto program = load_code(method, std::move(code), lock);
      if (!program) {
        log::info("{}", program.error().message());
        lock.programs.clear();
        break;
      }
      lock.programs.push_back(std::move(*program));
    }
    if (!lock.programs.empty()) return lock;
  }
  std::vector<Code> codes;
  TRY(load_object(method, lock, codes));
  // What is pinned there does not load.
  if (!pin.empty()) ::unlink(pin.c_str());
  if (!pin.empty() && !codes.empty())
    if (auto kept = keep_codes(codes, pin); !kept)
      log::info("the network lock's code is not kept: {}", kept.error().message());
  return lock;
}

}  // namespace

Result<LockPrograms> load_lock_programs(LockMethod method, std::size_t room) {
  LockPrograms lock;
  TRY_ASSIGN(lock.connections,
             make_map(BPF_MAP_TYPE_HASH, "connections", sizeof(lock_connection), sizeof(std::uint32_t),
                      static_cast<std::uint32_t>(room), BPF_F_NO_PREALLOC));
  TRY_ASSIGN(lock.state, make_state());
  return load(method, std::move(lock));
}

Result<LockPrograms> load_lock_programs(LockMethod method, const Fd& connections) {
  LockPrograms lock;
  lock.connections.reset(::fcntl(connections.get(), F_DUPFD_CLOEXEC, 0));
  if (!lock.connections) return fail(Error::system("the network lock's connections"));
  TRY_ASSIGN(lock.state, make_state());
  return load(method, std::move(lock));
}

}  // namespace bpfckpt::kernel
