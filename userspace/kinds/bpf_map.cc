// SPDX-License-Identifier: Apache-2.0
// BPF maps.
//
// A map is an object of the kernel behind any number of descriptions, each of which may look up, update, or
// do both (kernel/bpf/syscall.c). Kept, for arrays, hashes and LPM tries: type, sizes, flags, name, type
// information (BTF), entries, whether it is frozen, and what each description may do; mappings of
// BPF_F_MMAPABLE arrays too. Not kept: the id, which the kernel counts up for ever, and in which order a hash
// is walked.
//
// Refused: other types (per cpu: the machine's cpus are part of them; LRU: the order of use is; queues,
// rings, maps of programs, maps or sockets: what is in them cannot be read or not be made); values that hold
// locks, timers or pointers of the kernel; and maps that something outside of the tree keeps (a program, a
// pin, another process): the tree would come back with a map of its own that nobody else has.
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "bpf/records.h"
#include "images/kinds/bpf_map.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {

extern const Kind kBpfMap;

namespace {

constexpr std::uint32_t kKeptFlags = BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED |
                                     BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG | BPF_F_MMAPABLE | BPF_F_INNER_MAP;
constexpr std::uint32_t kMostBtfBytes = 16 << 20;    // include/linux/btf.h: BTF_MAX_SIZE
constexpr std::uint32_t kMostKeyOrValue = 1u << 30;  // KMALLOC_MAX_SIZE is less
constexpr std::uint32_t kFirstBatch = 4096;          // entries
constexpr std::uint64_t kPage = 4096;

const char* type_name(std::uint32_t type) {
  // include/uapi/linux/bpf.h: enum bpf_map_type
  static constexpr const char* kNames[] = {"unspecified",
                                           "hash",
                                           "array",
                                           "array of programs",
                                           "array of perf events",
                                           "per-cpu hash",
                                           "per-cpu array",
                                           "stack traces",
                                           "array of cgroups",
                                           "LRU hash",
                                           "per-cpu LRU hash",
                                           "LPM trie",
                                           "array of maps",
                                           "hash of maps",
                                           "device map",
                                           "socket map",
                                           "cpu map",
                                           "AF_XDP sockets",
                                           "socket hash",
                                           "cgroup storage",
                                           "sockets for reuseport",
                                           "per-cpu cgroup storage",
                                           "queue",
                                           "stack",
                                           "socket storage",
                                           "device hash",
                                           "operations",
                                           "ring buffer",
                                           "inode storage",
                                           "task storage",
                                           "bloom filter",
                                           "user ring buffer",
                                           "cgroup storage",
                                           "arena"};
  return type < std::size(kNames) ? kNames[type] : "unknown";
}

bool is_plain(std::uint32_t type) {
  return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LPM_TRIE;
}

long bpf(int command, bpf_attr& attribute) {
  return ::syscall(SYS_bpf, command, &attribute, sizeof attribute);
}

bpf_attr empty_attribute() {
  bpf_attr attribute;
  std::memset(&attribute, 0, sizeof attribute);
  return attribute;
}

bool has_object(const file_record&) {
  return true;
}

Result<void> describe(const file_record& record, pb::File&, pb::FileObject* object) {
  if (object == nullptr) return {};
  const bpf_map_record& seen = record.detail.bpf_map;
  pb::BpfMap map;
  map.set_type(seen.type);
  map.set_key_bytes(seen.key_size);
  map.set_value_bytes(seen.value_size);
  map.set_max_entries(seen.max_entries);
  map.set_flags(seen.map_flags);
  map.set_map_extra(seen.map_extra);
  if (seen.map_flags & BPF_F_NUMA_NODE) map.set_numa_node(static_cast<std::uint32_t>(seen.numa_node));
  map.set_name(std::string(seen.name, ::strnlen(seen.name, sizeof seen.name)));
  map.set_frozen(seen.frozen != 0);
  map.set_btf_key_type(seen.btf_key_type);
  map.set_btf_value_type(seen.btf_value_type);
  map.set_id(seen.id);
  map.set_special_values(seen.special != 0);
  map.set_outside_references(seen.references);  // all there are; settle() takes off the tree's own
  object->mutable_detail()->PackFrom(map);
  return {};
}

// Each description counts once (bpf_map_new_fd()).
Result<void> settle(Model& model) {
  std::map<std::uint32_t, std::int64_t> own;
  for (const pb::File& file : model.files.files())
    if (file.kind() == kBpfMap.name) own[file.object_id()]++;
  for (pb::FileObject& object : *model.files.mutable_objects()) {
    if (object.kind() != kBpfMap.name) continue;
    TRY_ASSIGN(pb::BpfMap map, unpack<pb::BpfMap>(object.detail(), "BPF map"));
    map.set_outside_references(std::max<std::int64_t>(0, map.outside_references() - own[object.id()]));
    object.mutable_detail()->PackFrom(map);
  }
  return {};
}

// --- taking it

Result<bpf_map_info> ask_info(int fd) {
  bpf_map_info info{};
  bpf_attr attribute = empty_attribute();
  attribute.info.bpf_fd = static_cast<std::uint32_t>(fd);
  attribute.info.info = reinterpret_cast<std::uint64_t>(&info);
  attribute.info.info_len = sizeof info;
  if (bpf(BPF_OBJ_GET_INFO_BY_FD, attribute) != 0) return fail(Error::system("BPF_OBJ_GET_INFO_BY_FD"));
  return info;
}

Result<std::string> take_btf(std::uint32_t id) {
  bpf_attr by_id = empty_attribute();
  by_id.btf_id = id;
  Fd fd(static_cast<int>(bpf(BPF_BTF_GET_FD_BY_ID, by_id)));
  if (!fd) return fail(Error::system("BPF_BTF_GET_FD_BY_ID"));
  std::string bytes;
  for (int round = 0; round < 2; round++) {  // the first answer tells the size
    bpf_btf_info info{};
    info.btf = reinterpret_cast<std::uint64_t>(bytes.data());
    info.btf_size = static_cast<std::uint32_t>(bytes.size());
    bpf_attr attribute = empty_attribute();
    attribute.info.bpf_fd = static_cast<std::uint32_t>(fd.get());
    attribute.info.info = reinterpret_cast<std::uint64_t>(&info);
    attribute.info.info_len = sizeof info;
    if (bpf(BPF_OBJ_GET_INFO_BY_FD, attribute) != 0) return fail(Error::system("information of the BTF"));
    if (info.kernel_btf != 0) return fail(Error::unsupported("a BPF map of a type of the kernel's own BTF"));
    if (info.btf_size == 0 || info.btf_size > kMostBtfBytes)
      return fail(Error::system("size of the BTF", EIO));
    bytes.resize(info.btf_size);
  }
  return bytes;
}

struct Entries {
  std::vector<std::byte> keys, values;
  std::uint32_t count = 0;
};

// In batches: BPF_MAP_LOOKUP_BATCH says ENOENT with the last one, ENOSPC when a bucket of a hash does not
// fit.
Result<Entries> take_entries(int fd, const pb::BpfMap& map) {
  const std::size_t key_len = map.key_bytes(), value_len = map.value_bytes();
  std::uint32_t room = std::min(map.max_entries(), kFirstBatch);
  std::vector<std::byte> keys, values, at(std::max<std::size_t>(key_len, 8)), next(at.size());
  Entries all;
  const bool is_array = map.type() == BPF_MAP_TYPE_ARRAY;
  for (bool first = true, last = false; !last;) {
    keys.resize(room * key_len);
    values.resize(room * value_len);
    bpf_attr attribute = empty_attribute();
    attribute.batch.map_fd = static_cast<std::uint32_t>(fd);
    attribute.batch.in_batch = first ? 0 : reinterpret_cast<std::uint64_t>(at.data());
    attribute.batch.out_batch = reinterpret_cast<std::uint64_t>(next.data());
    attribute.batch.keys = reinterpret_cast<std::uint64_t>(keys.data());
    attribute.batch.values = reinterpret_cast<std::uint64_t>(values.data());
    attribute.batch.count = room;
    if (bpf(BPF_MAP_LOOKUP_BATCH, attribute) != 0) {
      if (errno == ENOSPC && room < map.max_entries()) {
        room = std::min(map.max_entries(), room * 2);
        continue;
      }
      if (errno != ENOENT) return fail(Error::system("BPF_MAP_LOOKUP_BATCH"));
      last = true;
    }
    for (std::uint32_t i = 0; i < attribute.batch.count && i < room; i++) {
      auto key = keys.begin() + static_cast<std::ptrdiff_t>(i * key_len);
      auto value = values.begin() + static_cast<std::ptrdiff_t>(i * value_len);
      auto value_end = value + static_cast<std::ptrdiff_t>(value_len);
      // A new array is all zero.
      if (is_array && std::all_of(value, value_end, [](std::byte b) { return b == std::byte{0}; })) continue;
      all.keys.insert(all.keys.end(), key, key + static_cast<std::ptrdiff_t>(key_len));
      all.values.insert(all.values.end(), value, value_end);
      all.count++;
    }
    std::swap(at, next);
    first = false;
  }
  return all;
}

Result<void> write_content(EnrichContext& context, const Entries& entries, pb::Content& content) {
  std::string name;
  TRY_ASSIGN(int image, context.content_image(name));
  const off_t end = ::lseek(image, 0, SEEK_END);
  if (end < 0) return fail(Error::system("lseek of the image"));
  for (const std::vector<std::byte>* part : {&entries.keys, &entries.values})
    for (std::size_t done = 0; done < part->size();) {
      ssize_t n = ::write(image, part->data() + done, part->size() - done);
      if (n <= 0) return fail(Error::system("write to the image", n < 0 ? errno : EIO));
      done += static_cast<std::size_t>(n);
    }
  content.set_image(name);
  content.set_size(entries.keys.size() + entries.values.size());
  pb::Extent& extent = *content.add_extents();
  extent.set_length(content.size());
  extent.set_image_offset(static_cast<std::uint64_t>(end));
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File&, pb::FileObject* object) {
  if (object == nullptr) return {};
  TRY_ASSIGN(pb::BpfMap map, unpack<pb::BpfMap>(object->detail(), "BPF map"));
  // A description of our own: the target's may be for updates only, and a mapping's cannot be borrowed.
  bpf_attr by_id = empty_attribute();
  by_id.map_id = map.id();
  Fd fd(static_cast<int>(bpf(BPF_MAP_GET_FD_BY_ID, by_id)));
  if (!fd) return fail(Error::system("BPF_MAP_GET_FD_BY_ID"));
  map.clear_id();
  TRY_ASSIGN(bpf_map_info info, ask_info(fd.get()));
  if (info.btf_id != 0) {
    TRY_ASSIGN(*map.mutable_btf(), take_btf(info.btf_id));
  }
  TRY_ASSIGN(Entries entries, take_entries(fd.get(), map));
  map.set_entries(entries.count);
  if (entries.count != 0) TRY(write_content(context, entries, *map.mutable_content()));
  object->mutable_detail()->PackFrom(map);
  return {};
}

// --- making it

Result<void> check(const pb::BpfMap& map) {
  auto bad = [](const char* what) { return fail(Error::bad_image(fmt::format("BPF map: {}", what))); };
  if (!is_plain(map.type()) || (map.flags() & ~kKeptFlags) != 0)
    return bad("a type or flags that no dump takes");
  if (map.key_bytes() == 0 || map.key_bytes() > kMostKeyOrValue || map.value_bytes() == 0 ||
      map.value_bytes() > kMostKeyOrValue || map.max_entries() == 0)
    return bad("bad sizes");
  if (map.entries() > map.max_entries()) return bad("more entries than it has room for");
  if (map.name().size() >= BPF_OBJ_NAME_LEN || map.name().find('\0') != std::string::npos)
    return bad("bad name");
  if (map.btf().size() > kMostBtfBytes) return bad("too much BTF");
  if (map.btf().empty() && (map.btf_key_type() | map.btf_value_type()) != 0) return bad("types without BTF");
  std::uint64_t len = (std::uint64_t{map.key_bytes()} + map.value_bytes()) * map.entries();
  if (len != map.content().size()) return bad("its content is not as long as its entries");
  if (len != 0 && (map.content().extents_size() != 1 || map.content().extents(0).offset() != 0 ||
                   map.content().extents(0).length() != len))
    return bad("its content has holes");
  return {};
}

DataId attribute_block(PlanBuilder& plan, const bpf_attr& attribute) {
  return plan.bytes_of(attribute);
}

void plan_entries(PlanBuilder& plan, const pb::BpfMap& map, OpId fd) {
  const pb::Extent& extent = map.content().extents(0);
  const std::uint64_t delta = extent.image_offset() % kPage;
  const std::uint64_t len = delta + extent.length();
  OpId image = plan.open_image(map.content().image());
  OpId at = plan.call(kSelf, SYS_mmap,
                      {0, len, PROT_READ, MAP_PRIVATE, Operand::result(image), extent.image_offset() - delta},
                      "entries");
  bpf_attr update = empty_attribute();
  update.batch.count = map.entries();
  DataId block = attribute_block(plan, update);
  const auto keys = static_cast<std::int64_t>(delta);
  const auto values = keys + static_cast<std::int64_t>(std::uint64_t{map.key_bytes()} * map.entries());
  plan.fix(block, offsetof(bpf_attr, batch.keys), 8, Operand::result(at, keys));
  plan.fix(block, offsetof(bpf_attr, batch.values), 8, Operand::result(at, values));
  plan.fix(block, offsetof(bpf_attr, batch.map_fd), 4, Operand::result(fd));
  plan.call_expecting(kSelf, 0, SYS_bpf, {BPF_MAP_UPDATE_BATCH, Operand::data(block), sizeof update},
                      "entries");
  plan.call(kSelf, SYS_munmap, {Operand::result(at), len});
}

Result<void> make(PlanBuilder& plan, const pb::File&, const pb::FileObject& object) {
  TRY_ASSIGN(pb::BpfMap map, unpack<pb::BpfMap>(object.detail(), "BPF map"));
  TRY(check(map));
  bpf_attr create = empty_attribute();
  create.map_type = map.type();
  create.key_size = map.key_bytes();
  create.value_size = map.value_bytes();
  create.max_entries = map.max_entries();
  create.map_flags = map.flags();
  create.map_extra = map.map_extra();
  create.numa_node = map.numa_node();
  create.btf_key_type_id = map.btf_key_type();
  create.btf_value_type_id = map.btf_value_type();
  std::memcpy(create.map_name, map.name().data(), map.name().size());
  DataId block = attribute_block(plan, create);
  OpId btf = 0;
  if (!map.btf().empty()) {
    bpf_attr load = empty_attribute();
    load.btf_size = static_cast<std::uint32_t>(map.btf().size());
    DataId load_block = attribute_block(plan, load);
    plan.fix(load_block, offsetof(bpf_attr, btf), 8,
             Operand::data(plan.data(std::as_bytes(std::span(map.btf())))));
    btf = plan.call(kSelf, SYS_bpf, {BPF_BTF_LOAD, Operand::data(load_block), sizeof load}, "BTF");
    plan.fix(block, offsetof(bpf_attr, btf_fd), 4, Operand::result(btf));
  }
  OpId fd = plan.call(kSelf, SYS_bpf, {BPF_MAP_CREATE, Operand::data(block), sizeof create}, "BPF map");
  if (!map.btf().empty()) plan.call(kSelf, SYS_close, {Operand::result(btf)});
  if (map.entries() != 0) plan_entries(plan, map, fd);
  plan.set_object(object.id(), Operand::result(fd));
  return {};
}

// A description of its own, by way of the id, which is known when the map is made.
Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  if (object == nullptr) return fail(Error::bad_image("a BPF map without its object"));
  TRY_ASSIGN(Operand made, plan_object(plan, file, *object));
  DataId info = plan.zeroes(sizeof(bpf_map_info));
  bpf_attr ask = empty_attribute();
  ask.info.info_len = sizeof(bpf_map_info);
  DataId ask_block = attribute_block(plan, ask);
  plan.fix(ask_block, offsetof(bpf_attr, info.bpf_fd), 4, made);
  plan.fix(ask_block, offsetof(bpf_attr, info.info), 8, Operand::data(info));
  plan.call(kSelf, SYS_bpf, {BPF_OBJ_GET_INFO_BY_FD, Operand::data(ask_block), sizeof ask},
            "id of the BPF map");
  bpf_attr open = empty_attribute();
  const std::uint32_t access = file.flags() & O_ACCMODE;
  open.open_flags = access == O_RDONLY ? BPF_F_RDONLY : access == O_WRONLY ? BPF_F_WRONLY : 0;
  DataId open_block = attribute_block(plan, open);
  plan.fix(open_block, offsetof(bpf_attr, map_id), 4, Operand::field(info, offsetof(bpf_map_info, id)));
  OpId fd = plan.call(kSelf, SYS_bpf, {BPF_MAP_GET_FD_BY_ID, Operand::data(open_block), sizeof open}, "file");
  if ((file.flags() & ~std::uint32_t{O_ACCMODE}) != 0)
    plan.call(kSelf, SYS_fcntl, {Operand::result(fd), F_SETFL, file.flags()}, "flags of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Result<void> finish(PlanBuilder& plan, const pb::File&, const pb::FileObject& object) {
  TRY_ASSIGN(pb::BpfMap map, unpack<pb::BpfMap>(object.detail(), "BPF map"));
  const Operand* fd = plan.object(object.id());
  if (!map.frozen() || fd == nullptr) return {};
  DataId block = attribute_block(plan, empty_attribute());
  plan.fix(block, offsetof(bpf_attr, map_fd), 4, *fd);
  plan.call(kSelf, SYS_bpf, {BPF_MAP_FREEZE, Operand::data(block), sizeof(bpf_attr)}, "freeze");
  return {};
}

Finding diagnose(const pb::File&, const pb::FileObject* object, const DumpPolicy&) {
  if (object == nullptr) return {};
  auto map = unpack<pb::BpfMap>(object->detail(), "BPF map");
  if (!map) return {Verdict::Unsupported, "bpf-map", map.error().message(), ""};
  if (!is_plain(map->type()))
    return {Verdict::Unsupported, "bpf-map-type",
            fmt::format("BPF map \"{}\" is of type {} ({}): only arrays, hashes and LPM tries can be taken",
                        map->name(), map->type(), type_name(map->type())),
            ""};
  if (std::uint32_t others = map->flags() & ~kKeptFlags; others != 0)
    return {Verdict::Unsupported, "bpf-map-flags",
            fmt::format("BPF map \"{}\" has flags {:#x}, which are not known", map->name(), others), ""};
  if (map->special_values())
    return {
        Verdict::Unsupported, "bpf-map-special",
        fmt::format("BPF map \"{}\" has locks, timers or pointers of the kernel in its values", map->name()),
        ""};
  if (map->outside_references() != 0)
    return {Verdict::Unsupported, "bpf-map-shared",
            fmt::format("BPF map \"{}\" is used from outside of the tree as well ({} more: programs, pins, "
                        "maps, or processes)",
                        map->name(), map->outside_references()),
            ""};
  return {};
}

}  // namespace

extern const Kind kBpfMap = {
    .name = "bpf_map",
    .kept =
        "arrays, hashes and LPM tries: type, sizes, flags, name, type information, entries, frozen or not, "
        "access of each description, mappings",
    .not_kept = "the id; the order in which a hash is walked",
    .refused =
        "other types; values with locks, timers or pointers; maps that somebody outside of the tree keeps",
    .describe = describe,
    .enrich = enrich,
    .make = make,
    .plan = plan,
    .diagnose = diagnose,
    .finish = finish,
    .settle = settle,
    .has_object = has_object,
    .mappable = true,
};

}  // namespace bpfckpt::kinds
