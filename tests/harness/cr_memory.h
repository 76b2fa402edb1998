// SPDX-License-Identifier: Apache-2.0
// Small things that several tests of tests/cr need for memory and files.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cstdint>

#include "harness/cr_test.h"

namespace cr {

constexpr std::size_t kPage = 4096;

// A new mapping, which must succeed.
inline char* map(std::size_t len_bytes, int prot = PROT_READ | PROT_WRITE,
                 int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1, off_t offset = 0, void* at = nullptr) {
  void* address = ::mmap(at, len_bytes, prot, flags, fd, offset);
  REQUIRE(address != MAP_FAILED);
  return static_cast<char*>(address);
}

// Fills a page with a pattern that belongs to `seed`, or says whether it is there.
inline std::uint32_t pattern(std::uint32_t seed, std::uint32_t word) {
  return seed * 2654435761U + word * 40503U + 1;
}
inline void fill(char* page, std::uint32_t seed) {
  for (std::uint32_t i = 0; i < kPage / 4; ++i) reinterpret_cast<std::uint32_t*>(page)[i] = pattern(seed, i);
}
inline bool filled(const char* page, std::uint32_t seed) {
  for (std::uint32_t i = 0; i < kPage / 4; ++i) {
    if (reinterpret_cast<const std::uint32_t*>(page)[i] != pattern(seed, i)) return false;
  }
  return true;
}
inline bool zero(const char* page) {
  for (std::size_t i = 0; i < kPage; ++i) {
    if (page[i] != 0) return false;
  }
  return true;
}

// Whether the byte can be read, without the signal that a plain access would raise.
inline bool readable(const char* address) {
  char byte;
  const iovec local{&byte, 1}, remote{const_cast<char*>(address), 1};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == 1;
}

// A new file in the test's directory, with that content; the name is relative to it.
inline int make_file(const std::string& name, const std::string& content = {}, int flags = O_RDWR,
                     mode_t mode = 0644) {
  const std::string path = directory() + "/" + name;
  const int fd = ::open(path.c_str(), flags | O_CREAT, mode);
  REQUIRE(fd >= 0);
  if (!content.empty())
    REQUIRE(::pwrite(fd, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  return fd;
}

// Everything from the descriptor's position on.
inline std::string read_all(int fd) {
  std::string text;
  char buffer[65536];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, n);
  return text;
}

inline std::string file_content(const std::string& name) {
  const int fd = ::open((directory() + "/" + name).c_str(), O_RDONLY);
  REQUIRE(fd >= 0);
  std::string text = read_all(fd);
  ::close(fd);
  return text;
}

// /proc/self/pagemap's entry of that page; PFNs need CAP_SYS_ADMIN.
inline std::uint64_t pagemap_entry(const char* address) {
  const int fd = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  std::uint64_t entry = 0;
  REQUIRE(::pread(fd, &entry, 8, reinterpret_cast<std::uintptr_t>(address) / kPage * 8) == 8);
  ::close(fd);
  return entry;
}
constexpr std::uint64_t kPagePresent = 1ULL << 63;
constexpr std::uint64_t kPageFrame = (1ULL << 55) - 1;

}  // namespace cr
