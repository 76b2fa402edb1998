// SPDX-License-Identifier: Apache-2.0
// A map with type information (BTF), as libbpf makes them, has it again.
#include <linux/btf.h>

#include "harness/cr_bpf.h"

namespace {

// One type: int of 32 bits, called "int".
struct Blob {
  btf_header header{BTF_MAGIC, BTF_VERSION, 0, sizeof(btf_header), 0, 16, 16, 5};
  btf_type type{1, BTF_KIND_INT << 24, {4}};
  std::uint32_t encoding = BTF_INT_SIGNED << 24 | 32;
  char strings[5] = {0, 'i', 'n', 't', 0};
};

}  // namespace

cr::Options cr::options() {
  return {.ignore = {"*/fd/*/map_id"}};  // the kernel counts ids up
}

void cr::test() {
  Blob blob;
  bpf_attr load = bpf_attribute();
  load.btf = reinterpret_cast<std::uint64_t>(&blob);
  load.btf_size = offsetof(Blob, strings) + sizeof blob.strings;
  const int btf = bpf(BPF_BTF_LOAD, load);
  if (btf < 0) skip("btf");
  bpf_attr create = bpf_attribute();
  create.map_type = BPF_MAP_TYPE_HASH;
  create.key_size = create.value_size = 4;
  create.max_entries = 8;
  create.btf_fd = static_cast<std::uint32_t>(btf);
  create.btf_key_type_id = create.btf_value_type_id = 1;
  const int map = bpf(BPF_MAP_CREATE, create);
  REQUIRE(map >= 0 && update(map, 3, 4) == 0);
  ::close(btf);

  checkpoint_here();

  const bpf_map_info info = map_info(map);
  CHECK_EQ(info.btf_key_type_id, 1u);
  CHECK_EQ(info.btf_value_type_id, 1u);
  CHECK(info.btf_id != 0);
  int value = 0;
  CHECK(lookup(map, 3, value) == 0 && value == 4);
}
