// SPDX-License-Identifier: Apache-2.0
// A directory of our own in a BPF file system, where loaded programs stay between two runs.
//
// A pinned iterator shows any process to whoever can open it (the kernel makes no ptrace-style check), so the
// directory is its owner's alone (0700) and one that is not is refused. Where /sys/fs/bpf is no BPF file
// system, a private one is mounted at /run/bpfckpt/bpf.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::kernel {

class PinDirectory {
 public:
  // Finds or makes the directory. Error::Conflict: it is there, but not ours alone.
  static Result<PinDirectory> open();

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

 private:
  PinDirectory(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  Fd fd_;
};

// Names what is kept of a BPF object: by its bytes and by the boot.
Result<std::string> name_of_build(std::span<const std::byte> object);

// Removes every pin that any run left, and unmounts the private file system. How many programs were pinned.
// Runs that use the programs right now keep them.
Result<int> remove_pins();

}  // namespace bpfckpt::kernel
