// SPDX-License-Identifier: Apache-2.0
// BPF maps against what /proc/PID/fdinfo shows of them.
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "images/kinds/bpf_map.pb.h"
#include "oracle/target.h"

using namespace oracle;

TEST_CASE("BPF maps") {
  Target target([] {
    LIBBPF_OPTS(bpf_map_create_opts, unallocated, .map_flags = BPF_F_NO_PREALLOC);
    LIBBPF_OPTS(bpf_map_create_opts, mappable, .map_flags = BPF_F_MMAPABLE);
    const int made[] = {
        ::bpf_map_create(BPF_MAP_TYPE_ARRAY, "oracle_array", 4, 24, 7, nullptr),
        ::bpf_map_create(BPF_MAP_TYPE_HASH, "oracle_hash", 12, 5, 1000, &unallocated),
        ::bpf_map_create(BPF_MAP_TYPE_ARRAY, "oracle_mapped", 4, 8, 512, &mappable),
    };
    for (int i = 0; i < 3; ++i)
      if (::dup2(made[i], 100 + i) < 0) ::_exit(1);
    if (::bpf_map_freeze(made[0]) != 0) ::_exit(1);
  });
  const auto model = model_of(target.pid());
  bpfckpt::ModelIndex index(model);
  int seen = 0;
  for (const auto& entry : model.files.tables(0).entries()) {
    if (entry.fd() < 100 || entry.fd() > 102) continue;
    CAPTURE(entry.fd());
    const auto& file = *index.file(entry.file_id());
    REQUIRE(file.kind() == "bpf_map");
    bpfckpt::pb::BpfMap map;
    REQUIRE(index.object(file.object_id())->detail().UnpackTo(&map));
    auto fields = target.fields("fdinfo/" + std::to_string(entry.fd()));
    CHECK(map.type() == std::stoul(fields["map_type"]));
    CHECK(map.key_bytes() == std::stoul(fields["key_size"]));
    CHECK(map.value_bytes() == std::stoul(fields["value_size"]));
    CHECK(map.max_entries() == std::stoul(fields["max_entries"]));
    CHECK(map.flags() == hex(fields["map_flags"]));
    CHECK(map.map_extra() == hex(fields["map_extra"]));
    CHECK(map.id() == std::stoul(fields["map_id"]));
    CHECK(map.frozen() == (fields["frozen"] == "1"));
    CHECK(map.name().starts_with("oracle_"));
    ++seen;
  }
  CHECK(seen == 3);
}
