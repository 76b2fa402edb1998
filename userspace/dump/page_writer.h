// SPDX-License-Identifier: Apache-2.0
// Brings pages from the frozen processes into the page image.
#pragma once

#include <vector>

#include "dump/page_scan.h"
#include "target/injected_parasite.h"

namespace bpfckpt::dump {

// One process's pages to write.
struct PageJob {
  pid_t pid = 0;
  target::InjectedParasite* parasite = nullptr;  // null: read from outside
  std::vector<pb::PageRun> runs;                 // in image 0
  std::vector<pb::PageRun> outside;              // in image 1: bpfckpt's share
};

// Writes all, into the images at the places that the runs say: each process its own pages with its parasite,
// unless they are few, all at the same time; where there is none, or it cannot take the image's descriptor,
// bpfckpt reads them from outside. `second_fd` is only used where somebody has runs outside.
Result<void> write_pages(std::vector<PageJob>& jobs, int image_fd, int second_fd);

}  // namespace bpfckpt::dump
