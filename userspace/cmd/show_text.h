// SPDX-License-Identifier: Apache-2.0
// The checkpoint as text for people.
#pragma once

#include <ostream>

#include "image/reader.h"

namespace bpfckpt {

// What it is, the tree, and of each process its threads, fds and a summary of its memory.
void print_checkpoint(const image::ImageReader& reader, unsigned width, std::ostream& out);
// One process, with every mapping.
void print_process(const image::ImageReader& reader, const pb::Process& process, unsigned width,
                   std::ostream& out);

}  // namespace bpfckpt
