// SPDX-License-Identifier: Apache-2.0
// Huge pages for a test, as long as it wants them.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "harness/cr_memory.h"

namespace cr {

inline constexpr std::size_t kHuge = 2 << 20;

// Pages beyond the machine's pool, so many at most, which are made when they are asked for and given back
// when they are free.
class HugePages {
 public:
  // Skips the test where it may not have them.
  explicit HugePages(int count) : before_(read()) {
    if (!write(std::to_string(std::max(count, std::atoi(before_.c_str())))))
      skip("machine: hugetlb (vm.nr_overcommit_hugepages)");
  }
  // The limit is what it was. By hand: in a restored process, too, it is the test's end that says so.
  bool give_back() const { return write(before_); }

 private:
  static constexpr const char* kLimit = "/proc/sys/vm/nr_overcommit_hugepages";

  static std::string read() {
    const int fd = ::open(kLimit, O_RDONLY | O_CLOEXEC);
    std::string text = read_all(fd);
    ::close(fd);
    return text;
  }
  static bool write(const std::string& text) {
    const int fd = ::open(kLimit, O_WRONLY | O_CLOEXEC);
    const bool done = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return done;
  }

  std::string before_;
};

}  // namespace cr
