// SPDX-License-Identifier: Apache-2.0
// Descriptors that the frozen tree holds, borrowed for a look (EnrichContext).
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "image/writer.h"
#include "kinds/kind.h"

namespace bpfckpt::dump {

class Borrower : public kinds::EnrichContext {
 public:
  // `contents`: the image for the bytes of objects; it is made before the freeze, which takes time in a
  // directory where many files were deleted of late (fs/ext4/ialloc.c:recently_deleted()). None: it is made
  // when it is needed.
  Borrower(const Model& model, image::ImageWriter& writer, image::RawImage contents);
  // Another one for another thread, with an image of its own. Of the two only the first is to be asked for
  // names, and for what is in flight.
  Borrower(const Borrower& other, image::RawImage contents);
  // Removes the names that link_again() made, unless they are kept.
  ~Borrower() override;

  Result<Fd> borrow(const pb::File& file) override;
  Result<int> content_image(std::string& name) override;
  Result<void> add_content(std::span<const char> bytes, pb::Content& content) override;
  Result<std::string> link_again(int fd, const std::string& path) override;

  struct Place {
    std::uint32_t pid = 0;
    std::int64_t fd = -1;              // or
    std::uint64_t start = 0, end = 0;  // a mapping of it; or, both 0: the executable
  };
  // Has somebody of the tree a descriptor or a mapping of it?
  bool reaches(const pb::File& file) const {
    return file.id() < places_.size() && places_[file.id()].pid != 0;
  }
  // Where somebody has it as a descriptor. Error::Bug: nobody has.
  Result<Place> where(const pb::File& file) const;
  // Writes what add_content() has gathered. To be called when all is enriched, once.
  Result<void> finish_contents();
  // Puts the names that link_again() made on the disk.
  Result<void> sync_links() const;
  // Names will be made: where they are put down meanwhile. To be had before the freeze; else it is made for
  // the first of them.
  void record_links(image::LinkRecord record) { record_ = std::move(record); }
  // The checkpoint is complete: its names belong to it.
  void keep_links() {
    links_.clear();
    record_ = {};
  }
  Result<Pipe> scratch_pipe(std::uint32_t capacity_bytes) override;

 private:
  Result<void> need_contents();
  Result<void> write_gathered();
  Result<int> pidfd(std::uint32_t pid);
  Result<Fd> borrow_in_flight(const pb::File& file);
  // The first to say where a file is counts.
  void place(std::uint32_t file_id, Place place);

  const Model& model_;
  image::ImageWriter& writer_;
  int in_flight_depth_ = 0;
  std::vector<Place> places_;  // by file id; pid 0: not known
  std::unordered_map<std::uint32_t, Fd> pidfds_;
  image::RawImage contents_;
  bool contents_used_ = false;
  std::vector<char> gathered_;  // goes to the end of contents_, which is at gathered_at_
  std::uint64_t gathered_at_ = 0;
  image::LinkRecord record_;  // gone when the links are
  std::vector<std::string> links_;
  Fd scratch_out_, scratch_in_;
  std::uint32_t scratch_bytes_ = 0;
};

// Lets every kind take what BPF could not see. Where much is only to be read, a second thread reads as well,
// by means of `helper`, which may be null.
Result<void> enrich(Model& model, Borrower& borrower, Borrower* helper,
                    std::span<const std::string> externals);

}  // namespace bpfckpt::dump
