// SPDX-License-Identifier: Apache-2.0
// TUN and TAP interfaces: one that vanishes with its descriptor, one that stays, one with two queues, and a
// descriptor without any; name, type, owner, header, hardware address, MTU, up.
#include <linux/if_tun.h>
#include <linux/mount.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "harness/cr_memory.h"

namespace {

ifreq request(const char* name, int flags = 0) {
  ifreq r{};
  std::strcpy(r.ifr_name, name);
  r.ifr_flags = static_cast<short>(flags);
  return r;
}

int attach(const char* name, int flags) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (fd < 0) cr::skip("tun");
  ifreq r = request(name, flags);
  if (::ioctl(fd, TUNSETIFF, &r) != 0) cr::skip("machine: CAP_NET_ADMIN");
  return fd;
}

// From a sysfs of this network namespace: the one that is mounted shows that of who mounted it.
std::string fact(const char* name, const char* which) {
  const int filesystem = static_cast<int>(::syscall(SYS_fsopen, "sysfs", FSOPEN_CLOEXEC));
  REQUIRE(::syscall(SYS_fsconfig, filesystem, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0);
  const int mount = static_cast<int>(::syscall(SYS_fsmount, filesystem, FSMOUNT_CLOEXEC, 0));
  const int fd =
      ::openat(mount, (std::string("class/net/") + name + "/" + which).c_str(), O_RDONLY | O_CLOEXEC);
  std::string text = cr::read_all(fd);
  for (const int opened : {filesystem, mount, fd}) ::close(opened);
  return text;
}

void check_attached(int fd, const char* name, unsigned long flags) {
  ifreq r{};
  CHECK_EQ(::ioctl(fd, TUNGETIFF, &r), 0);
  CHECK_EQ(std::string(r.ifr_name), name);
  CHECK_EQ(std::stoul(fact(name, "tun_flags"), nullptr, 16), flags);
}

}  // namespace

void cr::test() {
  constexpr const char *kTunName = "ckpt-one", *kTap = "ckpt-tap", *kQueues = "ckpt-queues";
  const int tun = attach(kTunName, IFF_TUN | IFF_NO_PI);
  const int any = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  REQUIRE(::ioctl(tun, TUNSETOWNER, 1234) == 0 && ::ioctl(tun, TUNSETGROUP, 567) == 0);
  ifreq r = request(kTunName);
  r.ifr_mtu = 1280;
  REQUIRE(::ioctl(any, SIOCSIFMTU, &r) == 0);
  r = request(kTunName);
  REQUIRE(::ioctl(any, SIOCGIFFLAGS, &r) == 0);
  r.ifr_flags |= IFF_UP;
  REQUIRE(::ioctl(any, SIOCSIFFLAGS, &r) == 0);

  const int tap = attach(kTap, IFF_TAP | IFF_VNET_HDR);
  r = request(kTap);
  r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(r.ifr_hwaddr.sa_data, "\x02\x11\x22\x33\x44\x55", 6);
  int header = 12, buffer = 100'000, little = 1;
  REQUIRE(::ioctl(tap, SIOCSIFHWADDR, &r) == 0 && ::ioctl(tap, TUNSETPERSIST, 1) == 0);
  REQUIRE(::ioctl(tap, TUNSETVNETHDRSZ, &header) == 0 && ::ioctl(tap, TUNSETSNDBUF, &buffer) == 0);
  REQUIRE(::ioctl(tap, TUNSETVNETLE, &little) == 0);

  const int first = attach(kQueues, IFF_TUN | IFF_MULTI_QUEUE),
            second = attach(kQueues, IFF_TUN | IFF_MULTI_QUEUE);
  const int none = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  ::close(any);

  checkpoint_here();
  check_attached(tun, kTunName, IFF_TUN | IFF_NO_PI);
  CHECK_EQ(fact(kTunName, "owner"), "1234\n");
  CHECK_EQ(fact(kTunName, "group"), "567\n");
  CHECK_EQ(fact(kTunName, "mtu"), "1280\n");
  CHECK((std::stoul(fact(kTunName, "flags"), nullptr, 16) & IFF_UP) != 0);
  check_attached(tap, kTap, IFF_TAP | IFF_VNET_HDR | 0x0800 /* IFF_PERSIST */);
  CHECK_EQ(fact(kTap, "address"), "02:11:22:33:44:55\n");
  CHECK_EQ(fact(kTap, "owner"), "-1\n");
  CHECK((std::stoul(fact(kTap, "flags"), nullptr, 16) & IFF_UP) == 0);
  header = buffer = little = 0;
  CHECK(::ioctl(tap, TUNGETVNETHDRSZ, &header) == 0 && header == 12);
  CHECK(::ioctl(tap, TUNGETSNDBUF, &buffer) == 0 && buffer == 100'000);
  CHECK(::ioctl(tap, TUNGETVNETLE, &little) == 0 && little == 1);
  check_attached(first, kQueues, IFF_TUN | IFF_MULTI_QUEUE);
  check_attached(second, kQueues, IFF_TUN | IFF_MULTI_QUEUE);
  // A packet of the interface comes out, and one goes in.
  const char packet[28] = {0x45, 0, 0, 28};
  CHECK_EQ(::write(tun, packet, sizeof(packet)), static_cast<ssize_t>(sizeof(packet)));
  r = request("");
  CHECK(::ioctl(none, TUNGETIFF, &r) < 0 && errno == EBADFD);
  CHECK_EQ(::ioctl(tap, TUNSETPERSIST, 0), 0);
}
