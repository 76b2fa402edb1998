// SPDX-License-Identifier: Apache-2.0
// Capability sets that differ from each other in every way, the ambient set, the bounding set and securebits
// (keep-caps and the locks among them).
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#include "harness/cr_test.h"

namespace {

struct Sets {
  __user_cap_data_struct words[2];
};

Sets get() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  Sets sets{};
  REQUIRE(::syscall(SYS_capget, &header, sets.words) == 0);
  return sets;
}

}  // namespace

void cr::test() {
  constexpr int kBits = SECBIT_NOROOT | SECBIT_KEEP_CAPS | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  Sets sets = get();
  REQUIRE((sets.words[0].permitted & (1U << CAP_NET_RAW)) != 0);
  sets.words[0].inheritable = 1U << CAP_NET_RAW | 1U << CAP_CHOWN | 1U << CAP_KILL;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  REQUIRE(::syscall(SYS_capset, &header, sets.words) == 0);
  REQUIRE(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) == 0);
  REQUIRE(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0);
  REQUIRE(::prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0) == 0);
  REQUIRE(::prctl(PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0) == 0);
  REQUIRE(::prctl(PR_SET_SECUREBITS, kBits, 0, 0, 0) == 0);
  sets = get();
  sets.words[0].effective = 1U << CAP_SYS_NICE | 1U << CAP_DAC_OVERRIDE;
  sets.words[0].permitted &= ~(1U << CAP_SYS_MODULE);
  sets.words[1].effective = 0;
  REQUIRE(::syscall(SYS_capset, &header, sets.words) == 0);
  const Sets before = get();
  checkpoint_here();
  const Sets after = get();
  CHECK(std::memcmp(&before, &after, sizeof(after)) == 0);
  CHECK_EQ(::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0), kBits);
  CHECK_EQ(::prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 1);
  CHECK_EQ(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0), 1);
  CHECK_EQ(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 0);
  CHECK_EQ(::prctl(PR_CAPBSET_READ, CAP_SYS_BOOT, 0, 0, 0), 0);
  CHECK_EQ(::prctl(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0), 1);
}
