// SPDX-License-Identifier: Apache-2.0
#include "image/host.h"

#include <fcntl.h>

#include "base/fd.h"

namespace bpfckpt::image {

std::string boot_id() {
  constexpr std::size_t kUuidChars = 36;
  Fd fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::string id(kUuidChars, '\0');
  if (!fd || read(fd.get(), id.data(), id.size()) != static_cast<ssize_t>(id.size())) return {};
  return id;
}

}  // namespace bpfckpt::image
