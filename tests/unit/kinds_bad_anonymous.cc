// SPDX-License-Identifier: Apache-2.0
// What an image says of BPF maps, epoll instances, userfaultfds and netlink sockets is not believed: what no
// dump writes is refused when the plan is made, by name.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <functional>

#include "harness/kind_plan.h"
#include "images/kinds/bpf_map.pb.h"
#include "images/kinds/epoll.pb.h"
#include "images/kinds/netlink.pb.h"
#include "images/kinds/userfaultfd.pb.h"
#include "model/vm_flags.h"

using namespace bpfckpt;

namespace {

template <class Detail>
struct Row {
  const char* message;
  std::function<void(Detail&)> change;
};

// Each change to what is sound is refused as said.
template <class Detail, std::size_t kCount>
void check_rows(const Detail& sound, const Row<Detail> (&rows)[kCount],
                const std::function<Result<void>(const Detail&)>& planned) {
  auto good = planned(sound);
  REQUIRE_MESSAGE(good.has_value(), (good ? "" : good.error().message()));
  for (const auto& row : rows) {
    CAPTURE(row.message);
    Detail damaged = sound;
    row.change(damaged);
    auto result = planned(damaged);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code() == Error::Code::BadImage);
    CHECK_MESSAGE(result.error().message().find(row.message) != std::string::npos, result.error().message());
  }
}

// One process with one address space, and two files that are eventfds for all that matters here.
Model small_tree() {
  Model model;
  auto& process = *model.tasks.add_processes();
  process.set_pid(100);
  process.set_mm_id(1);
  process.set_fd_table_id(1);
  process.add_threads()->set_tid(100);
  auto& vma = *model.memory.add_address_spaces()->add_vmas();
  model.memory.mutable_address_spaces(0)->set_id(1);
  vma.set_start(0x10000);
  vma.set_end(0x20000);
  for (std::uint32_t id : {1u, 2u}) {
    pb::File& file = *model.files.add_files();
    file.set_id(id);
    file.set_kind("eventfd");
    file.set_flags(O_RDWR);
  }
  return model;
}

// Everything is at the number of its id.
class AtItsId final : public kinds::Installed {
 public:
  std::span<const Place> places(std::uint32_t id) const override {
    return id == 0 || id > std::size(places_) ? std::span<const Place>()
                                              : std::span<const Place>(places_).subspan(id - 1, 1);
  }
  Occupant at(std::uint32_t, std::uint32_t fd) const override { return {fd, false}; }

 private:
  Place places_[2] = {{100, 1}, {100, 2}};
};

pb::BpfMap good_map() {
  pb::BpfMap map;
  map.set_type(BPF_MAP_TYPE_HASH);
  map.set_key_bytes(4);
  map.set_value_bytes(8);
  map.set_max_entries(100);
  map.set_name("counters");
  map.set_btf("bytes");
  map.set_btf_key_type(1);
  map.set_btf_value_type(2);
  map.set_entries(3);
  map.mutable_content()->set_image("contents.img");
  map.mutable_content()->set_size(36);
  map.mutable_content()->add_extents()->set_length(36);
  return map;
}

const Row<pb::BpfMap> kMapRows[] = {
    {"a type or flags", [](auto& map) { map.set_type(BPF_MAP_TYPE_PROG_ARRAY); }},
    {"a type or flags", [](auto& map) { map.set_type(0xffffffff); }},
    {"a type or flags", [](auto& map) { map.set_flags(1u << 31); }},
    {"bad sizes", [](auto& map) { map.set_key_bytes(0); }},
    {"bad sizes", [](auto& map) { map.set_key_bytes(0xffffffff); }},
    {"bad sizes", [](auto& map) { map.set_value_bytes(0); }},
    {"bad sizes", [](auto& map) { map.set_value_bytes(1u << 31); }},
    {"bad sizes", [](auto& map) { map.set_max_entries(0); }},
    {"more entries than it has room for", [](auto& map) { map.set_max_entries(2); }},
    {"bad name", [](auto& map) { map.set_name(std::string(BPF_OBJ_NAME_LEN, 'n')); }},
    {"bad name", [](auto& map) { map.set_name(std::string("a\0b", 3)); }},
    {"too much BTF", [](auto& map) { map.set_btf(std::string((16 << 20) + 1, 'b')); }},
    {"types without BTF", [](auto& map) { map.clear_btf(); }},
    {"not as long as its entries", [](auto& map) { map.set_entries(4); }},
    {"not as long as its entries", [](auto& map) { map.mutable_content()->set_size(35); }},
    {"not as long as its entries", [](auto& map) { map.clear_content(); }},
    {"its content has holes", [](auto& map) { map.mutable_content()->clear_extents(); }},
    {"its content has holes", [](auto& map) { map.mutable_content()->add_extents(); }},
    {"its content has holes", [](auto& map) { map.mutable_content()->mutable_extents(0)->set_offset(4); }},
    {"its content has holes", [](auto& map) { map.mutable_content()->mutable_extents(0)->set_length(35); }},
};

pb::Epoll good_epoll() {
  pb::Epoll epoll;
  pb::EpollTarget& target = *epoll.add_targets();
  target.set_file_id(2);
  target.set_fd(2);
  target.set_events(EPOLLIN | EPOLLET);
  return epoll;
}

const Row<pb::Epoll> kEpollRows[] = {
    {"no file 9", [](auto& epoll) { epoll.mutable_targets(0)->set_file_id(9); }},
    {"no file 0", [](auto& epoll) { epoll.mutable_targets(0)->set_file_id(0); }},
    {"no file 1", [](auto& epoll) { epoll.mutable_targets(0)->set_file_id(1); }},  // itself
    {"a bad descriptor number", [](auto& epoll) { epoll.mutable_targets(0)->set_fd(0xffffffff); }},
    {"nobody has file 3", [](auto& epoll) { epoll.mutable_targets(0)->set_file_id(3); }},
};

pb::NetlinkSocket good_netlink() {
  pb::NetlinkSocket socket;
  socket.mutable_common()->set_family(AF_NETLINK);
  socket.mutable_common()->set_type(SOCK_RAW);
  socket.mutable_common()->set_receive_buffer(212992);
  socket.mutable_common()->set_send_buffer(212992);
  socket.set_bound(true);
  socket.set_port(100);
  socket.add_groups(1);
  return socket;
}

const Row<pb::NetlinkSocket> kNetlinkRows[] = {
    {"of another family", [](auto& socket) { socket.mutable_common()->set_family(AF_INET); }},
    {"netlink socket", [](auto& socket) { socket.clear_common(); }},
    {"messages that nobody took", [](auto& socket) { socket.set_queued(1); }},
    {"messages that nobody took", [](auto& socket) { socket.set_dumping(true); }},
    {"group 0", [](auto& socket) { socket.add_groups(0); }},
    {"group 4294967295", [](auto& socket) { socket.add_groups(0xffffffff); }},
};

// What is wrong with the process's memory, in which the userfaultfd's mappings are told.
Result<void> userfaultfd_planned(const pb::Userfaultfd& detail,
                                 const std::function<void(pb::Process&, pb::Vma&)>& change) {
  Model model = small_tree();
  pb::File& file = *model.files.mutable_files(0);
  file.set_kind("userfaultfd");
  file.mutable_detail()->PackFrom(detail);
  pb::Vma& vma = *model.memory.mutable_address_spaces(0)->mutable_vmas(0);
  vma.set_userfaultfd_file_id(1);
  vma.set_flags(vm::kUffdMissing | vm::kUffdWp);
  pb::Extent& extent = *vma.add_write_protected();
  extent.set_offset(0x11000);
  extent.set_length(0x1000);
  change(*model.tasks.mutable_processes(0), vma);
  ModelIndex index(model);
  kind_plan::EmptyMachine machine;
  PlanBuilder builder(model, index, machine);
  builder.phase("files");
  TRY(kinds::find("userfaultfd")->make_inside(builder, file));
  return kinds::find("userfaultfd")->plan(builder, file, nullptr);
}

}  // namespace

TEST_CASE("BPF maps") {
  check_rows<pb::BpfMap>(good_map(), kMapRows, [](const pb::BpfMap& map) -> Result<void> {
    Model model = small_tree();
    pb::File& file = *model.files.mutable_files(0);
    file.set_kind("bpf_map");
    file.set_object_id(1);
    pb::FileObject& object = *model.files.add_objects();
    object.set_id(1);
    object.set_kind("bpf_map");
    object.mutable_detail()->PackFrom(map);
    ModelIndex index(model);
    kind_plan::EmptyMachine machine;
    PlanBuilder builder(model, index, machine);
    builder.phase("files");
    TRY(kinds::find("bpf_map")->plan(builder, file, &object));
    return kinds::find("bpf_map")->finish(builder, file, object);
  });
}

TEST_CASE("epoll instances") {
  check_rows<pb::Epoll>(good_epoll(), kEpollRows, [](const pb::Epoll& epoll) -> Result<void> {
    Model model = small_tree();
    pb::File& unheld = *model.files.add_files();
    unheld.set_id(3);
    unheld.set_kind("eventfd");
    pb::File& file = *model.files.mutable_files(0);
    file.set_kind("epoll");
    file.mutable_detail()->PackFrom(epoll);
    ModelIndex index(model);
    kind_plan::EmptyMachine machine;
    PlanBuilder builder(model, index, machine);
    builder.phase("files connected");
    return kinds::find("epoll")->connect(builder, file, AtItsId());
  });
}

TEST_CASE("netlink sockets") {
  check_rows<pb::NetlinkSocket>(
      good_netlink(), kNetlinkRows, [](const pb::NetlinkSocket& socket) -> Result<void> {
        const Model model = small_tree();
        ModelIndex index(model);
        kind_plan::EmptyMachine machine;
        PlanBuilder builder(model, index, machine);
        builder.phase("files");
        return kinds::find("netlink")->plan(builder, kind_plan::file_with("netlink", socket), nullptr);
      });
}

TEST_CASE("userfaultfds") {
  pb::Userfaultfd detail;
  detail.set_mm_id(1);
  detail.set_ready(true);
  auto good = userfaultfd_planned(detail, [](auto&, auto&) {});
  CHECK_MESSAGE(good.has_value(), (good ? "" : good.error().message()));
  struct Change {
    const char* message;
    std::uint32_t mm_id;
    std::function<void(pb::Process&, pb::Vma&)> change;
  };
  auto protect = [](std::uint64_t offset, std::uint64_t length) {
    return [=](pb::Process&, pb::Vma& vma) {
      vma.mutable_write_protected(0)->set_offset(offset);
      vma.mutable_write_protected(0)->set_length(length);
    };
  };
  const Change changes[] = {
      {"of no address space", 0, [](auto&, auto&) {}},
      {"of no address space", 7, [](auto&, auto&) {}},
      {"of no address space", 1, [](auto& process, auto&) { process.set_state(pb::ZOMBIE); }},
      {"outside of the mapping", 1, protect(0xf000, 0x1000)},
      {"outside of the mapping", 1, protect(0x20000, 0x1000)},
      {"outside of the mapping", 1, protect(0x21000, 0x1000)},
      {"outside of the mapping", 1, protect(0x11000, ~0ull << 12)},
      {"outside of the mapping", 1, protect(0x11001, 0x1000)},
      {"outside of the mapping", 1, protect(0x11000, 0x800)},
  };
  for (const Change& change : changes) {
    CAPTURE(change.message);
    detail.set_mm_id(change.mm_id);
    auto result = userfaultfd_planned(detail, change.change);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code() == Error::Code::BadImage);
    CHECK_MESSAGE(result.error().message().find(change.message) != std::string::npos,
                  result.error().message());
  }
}
