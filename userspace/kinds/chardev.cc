// SPDX-License-Identifier: Apache-2.0
// Character and block devices.
//
// What is behind a descriptor of a device is its driver's business, and no driver tells. Some are known to
// keep nothing for who has them open: null, zero, full, random, urandom, the generator of hwrng, what only
// takes requests (loop-control, btrfs-control), and kmsg for those who only write. They are opened by name
// again; that the name still leads to the same device is checked before anything is made. A node that was
// deleted is made again for a moment.
//
// Any other device is refused by its name and number. With --external dev[MAJ/MIN]:NAME the user says that a
// new opening will do: restore opens it by its path, or takes what --inherit-fd gives. Whatever the driver
// kept is lost then.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "bpf/records.h"
#include "kinds/kind.h"
#include "kinds/names.h"
#include "kinds/place.h"

namespace bpfckpt::kinds {
namespace {

// Documentation/admin-guide/devices.txt.
struct Number {
  unsigned major, minor;
  bool operator==(const Number&) const = default;
};
constexpr Number kStateless[] = {{1, 3},    {1, 5},    {1, 7},
                                 {1, 8},    {1, 9},                 // null, zero, full, random, urandom
                                 {10, 183}, {10, 234}, {10, 237}};  // hwrng, btrfs-control, loop-control
constexpr Number kKmsg = {1, 11};

// What drivers keep for who has their device open, by number or, where that is given out at boot, by name.
struct Driver {
  Number number;
  std::string_view path;  // its beginning; empty: by number
  std::string_view keeps;
};
constexpr unsigned kAny = UINT32_MAX;
constexpr Driver kDrivers[] = {
    {kKmsg, "", "how far the kernel's log was read"},
    {{10, 130}, "", "a running watchdog"},
    {{10, 196}, "", "which memory other devices may reach (VFIO)"},
    {{10, 223}, "", "the input device that was made"},
    {{10, 229}, "", "the connection to a mounted FUSE file system and its open requests"},
    {{10, 232}, "", "virtual machines (KVM)"},
    {{10, 238}, "", "the memory and queues of a virtual machine (vhost)"},
    {{13, kAny}, "", "input events that were not read, and grabs"},
    {{29, kAny}, "", "the state of a display"},
    {{81, kAny}, "", "video streams and their buffers"},
    {{116, kAny}, "", "sound streams and their buffers"},
    {{195, kAny}, "", "memory and work on the GPU (NVIDIA)"},
    {{226, kAny}, "", "memory and work on the GPU (DRM)"},
    {{}, "/dev/nvidia", "memory and work on the GPU (NVIDIA)"},
    {{}, "/dev/kfd", "memory and work on the GPU (AMD)"},
    {{}, "/dev/rtc", "alarms and periodic interrupts of the clock"},
    {{}, "/dev/cpu_dma_latency", "a limit for the sleep of the processors, held while it is open"},
};

Number number_of(const pb::File& file) {
  return {major(file.inode().rdev()), minor(file.inode().rdev())};
}

bool has_object(const file_record& record) {
  return (record.path.flags & PATH_UNLINKED) != 0 || record.inode.links == 0;
}

Result<void> describe(const file_record& record, pb::File&, pb::FileObject* object) {
  if (object != nullptr) describe_ghost(record, *object);
  return {};
}

bool is_stateless(const pb::File& file) {
  if (std::ranges::find(kStateless, number_of(file)) != std::end(kStateless)) return true;
  return number_of(file) == kKmsg && (file.flags() & O_ACCMODE) == O_WRONLY;
}

std::string what_is_kept(const pb::File& file) {
  const Number number = number_of(file);
  for (const Driver& driver : kDrivers) {
    bool meant = driver.path.empty()
                     ? driver.number.major == number.major &&
                           (driver.number.minor == kAny || driver.number.minor == number.minor)
                     : file.path().path().starts_with(driver.path);
    if (meant) return fmt::format("its driver keeps {}", driver.keeps);
  }
  return "what its driver keeps is not known";
}

// "--external dev[10/232]:kvm"
std::string hint_for(const pb::File& file) {
  const std::string& path = file.path().path();
  return fmt::format("--external {}:{}", device_name(file), path.substr(path.rfind('/') + 1));
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  if (is_stateless(file)) return {};
  return {Verdict::Unsupported, "device",
          fmt::format("character device {}:{}: {}", number_of(file).major, number_of(file).minor,
                      what_is_kept(file)),
          hint_for(file)};
}

Finding diagnose_block(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  return {Verdict::Unsupported, "block-device",
          fmt::format("block device {}:{}: its contents do not travel, and who has it open may hold it",
                      number_of(file).major, number_of(file).minor),
          hint_for(file)};
}

}  // namespace

extern const Kind kChardev = {
    .name = "chardev",
    .kept =
        "which device it is: null, zero, full, random, urandom, hwrng, loop-control, btrfs-control, kmsg "
        "open for writing only; a deleted node is made again",
    .not_kept = "state of drivers",
    .refused =
        "every other device: `--external dev[MAJ/MIN]:NAME` opens it anew at restore, or "
        "`--inherit-fd` gives it",
    .describe = describe,
    .make = make_place,
    .plan = plan_device,
    .diagnose = diagnose,
    .has_object = has_object,
};

extern const Kind kBlockdev = {
    .name = "blockdev",
    .kept = "which device it is, position",
    .not_kept = "contents, claims (`O_EXCL`)",
    .refused = "always, but with `--external dev[MAJ/MIN]:NAME`, as for chardev",
    .describe = describe,
    .make = make_place,
    .plan = plan_device,
    .diagnose = diagnose_block,
    .has_object = has_object,
};

}  // namespace bpfckpt::kinds
