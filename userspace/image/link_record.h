// SPDX-License-Identifier: Apache-2.0
// What a dump with --link-remap makes outside of its directory: names of files that lost theirs.
//
// They belong to the checkpoint, and go with a dump that fails. One that is killed leaves them, wherever the
// files are. So the directory has a list of them for as long as the dump lasts: a name is in it before it is
// made, and the list goes when the names are gone, or the checkpoint has them. Who finds a list without its
// writer removes what it names, but for what the complete checkpoint in the directory names as well.
#pragma once

#include <string>
#include <string_view>

#include "image/directory.h"

namespace bpfckpt::image {

// Begins every such name.
inline constexpr std::string_view kLinkPrefix = ".bpfckpt-link-";

class LinkRecord {
 public:
  // None: nothing can be added.
  LinkRecord() = default;
  // Precondition: the directory is locked, and rid of what others left. It outlives the record.
  static Result<LinkRecord> open(ImageDirectory& directory);

  explicit operator bool() const { return file_.fd() >= 0; }
  // `path`, which is absolute and begins with the prefix behind its directory, is about to become a name of
  // the file behind `fd`.
  Result<void> add(const std::string& path, int fd);

 private:
  explicit LinkRecord(TemporaryFile file) : file_(std::move(file)) {}
  TemporaryFile file_;  // under its temporary name; goes with the object
};

// Removes the names that a killed dump left, as its list says; the list stays. A name is removed only if it
// is one of ours and still of the file that it was made for. How many went.
Result<unsigned> remove_recorded_links(const ImageDirectory& directory);

}  // namespace bpfckpt::image
