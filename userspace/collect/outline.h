// SPDX-License-Identifier: Apache-2.0
// The mappings of a process in short: where plain ones follow one another, one stands for all of them.
//
// Plain is what says the same of itself whatever tree the process is in: memory of its own, and regular files
// that have their name and no locks. Where each process of the machine is looked at for itself, and there is
// nothing to tell of that, the trees above it need no more of it than which addresses are in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "collect/records.h"

namespace bpfckpt::collect {

// Of one process at a time.
class Outline {
 public:
  using Out = std::function<Result<void>(const record_head&)>;

  // The next record of a pass of DumpVmas.
  Result<void> add(const record_head& record, const Out& out);
  // There are no more of this process.
  Result<void> end(const Out& out);

 private:
  Result<void> add_mapping(const vma_record& record, const Out& out);
  Result<void> add_file(const file_record& record, const Out& out);
  Result<void> add_plain(const Out& out);
  Result<void> add_other(const Out& out);
  const vma_record& last() const { return *reinterpret_cast<const vma_record*>(last_.data()); }

  std::vector<std::byte> last_;  // a mapping whose file is still to come; empty: there is none
  vma_record plain_{};           // what stands for the last plain ones; `end` 0: there were none
  // Files that were left out, by struct file: where they are in left_out_, should another mapping need one.
  std::unordered_map<std::uint64_t, std::size_t> plain_files_;
  std::vector<std::byte> left_out_;
};

}  // namespace bpfckpt::collect
