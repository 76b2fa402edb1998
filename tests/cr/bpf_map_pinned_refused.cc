// SPDX-License-Identifier: Apache-2.0
// Somebody else may look into a pinned map: a copy of it would not be the same.
#include <sys/mount.h>
#include <sys/stat.h>

#include "harness/cr_bpf.h"

void cr::test() {
  const int fd = create_map(BPF_MAP_TYPE_HASH, 4, 8, 4, 0, "pinned");
  if (fd < 0) skip("btf");
  const std::string place = directory() + "/bpffs", pin = place + "/map";
  REQUIRE(::mkdir(place.c_str(), 0700) == 0 && ::mount("bpffs", place.c_str(), "bpf", 0, nullptr) == 0);
  bpf_attr attribute = bpf_attribute();
  attribute.pathname = reinterpret_cast<std::uint64_t>(pin.c_str());
  attribute.bpf_fd = static_cast<std::uint32_t>(fd);
  REQUIRE(bpf(BPF_OBJ_PIN, attribute) == 0);
  checkpoint_here();
  CHECK(update(fd, 1, std::uint64_t{2}) == 0);
  CHECK(::umount(place.c_str()) == 0);
}

cr::Options cr::options() {
  return {.refused = "BPF map \"pinned\" is used from outside of the tree as well (1 more"};
}
