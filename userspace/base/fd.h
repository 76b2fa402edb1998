// SPDX-License-Identifier: Apache-2.0
// Ownership of what the kernel hands out: file descriptors and mappings of our own process.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <utility>

namespace bpfckpt {

// Owns one descriptor of bpfckpt's own table; closes it when it goes.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// Owns one mapping of bpfckpt's own address space.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* base, std::size_t len_bytes) : base_(base), len_bytes_(len_bytes) {}
  Mapping(Mapping&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)), len_bytes_(std::exchange(other.len_bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(len_bytes_, other.len_bytes_);
    return *this;
  }
  ~Mapping() {
    if (base_ != nullptr) ::munmap(base_, len_bytes_);
  }

  std::byte* data() const { return static_cast<std::byte*>(base_); }
  std::size_t size() const { return len_bytes_; }
  std::span<std::byte> bytes() const { return {data(), len_bytes_}; }
  explicit operator bool() const { return base_ != nullptr; }

 private:
  void* base_ = nullptr;
  std::size_t len_bytes_ = 0;
};

}  // namespace bpfckpt
