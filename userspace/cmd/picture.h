// SPDX-License-Identifier: Apache-2.0
// What a drawing of a checkpoint shows, worked out once for all kinds of drawing: the tree, what its
// processes share, what their memory is made of, and how long the stages of the dump took.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/reader.h"

namespace bpfckpt {

struct Picture {
  struct Memory {
    std::string kind;
    bool shared = false;  // by nature: several processes may map the same
    std::uint64_t size_bytes = 0;
    std::uint64_t taken_bytes = 0;  // in the images: pages, or what they hold of the objects that are mapped
    std::uint64_t kin_bytes = 0;    // of pages, what is shared copy-on-write with relatives
  };
  struct Process {
    std::uint32_t pid = 0, parent_pid = 0;  // parent 0: the root
    std::size_t depth = 0;
    std::string name, state;  // state: "", "stopped", "zombie"
    std::size_t threads = 0, descriptors = 0;
    std::vector<Memory> memory;            // of those kinds that there are
    std::uint64_t taken_bytes = 0;         // of private memory
    std::uint64_t shared_taken_bytes = 0;  // of shared memory: with each process that maps it
  };
  struct Holder {
    std::size_t process = 0;  // place in `processes`
    std::string how;          // "fd 5 r, fd 6 w", "16 KiB rw at 0x7f0000000000"; empty: as a whole
  };
  struct Shared {
    std::string kind;  // "memory", "descriptors", "copy-on-write pages", "System V segment", ... or of a file
    std::string name;  // of a file
    std::vector<Holder> holders;  // two at least, ascending
    std::string size;             // of memory, and how much of it the images hold, in words
  };
  struct Stage {
    std::string name;
    std::uint64_t us = 0;
  };

  std::string title;
  std::vector<Process> processes;  // depth first
  // By kind, of all processes: each byte of the images once, also what of a mapped object nobody maps.
  std::vector<Memory> memory;
  std::vector<Shared> shared;
  std::vector<Stage> stages;  // of the frozen window
  std::uint64_t frozen_us = 0, total_us = 0;
  std::uint64_t image_bytes = 0;
};

// "24 KiB + 8 KiB shared": of a process, in the images.
std::string taken_in_words(const Picture::Process& process);

Picture draw(const image::ImageReader& reader);

}  // namespace bpfckpt
