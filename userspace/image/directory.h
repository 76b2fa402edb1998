// SPDX-License-Identifier: Apache-2.0
// The directory of a checkpoint: names, temporary files, the lock of the one writer, and what a killed writer
// left.
//
// FORMAT.md ("Publishing") tells the order of steps and why no instant of it leaves half a checkpoint behind.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::image {

inline constexpr std::string_view kManifest = "manifest";
// Begins every name that is not part of a complete checkpoint.
inline constexpr std::string_view kTemporaryPrefix = ".bpfckpt.";

// True for what an image file may be called: 1 to 128 of [A-Za-z0-9._-], not beginning with a dot, not
// "manifest". Everything that comes out of a manifest or a model passes through here before it reaches the
// file system.
bool is_image_name(std::string_view name);

// A file that does not count yet: nameless where the file system can do that (O_TMPFILE), else under a
// temporary name. It vanishes with the object, or when the process dies, unless publish() gave it its name.
class TemporaryFile {
 public:
  TemporaryFile() = default;
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&& other) noexcept;
  ~TemporaryFile();

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }  // the name it will have
  // Gives a nameless file its temporary name, so that others can find it.
  Result<void> stage();
  // Gives the file its name in the directory, in the place of what has that name now. Not durable before the
  // directory is synced. On failure the file is still temporary.
  Result<void> publish();
  // Like publish(), but what had the name is now the temporary file: it goes with this object. Does what
  // publish() does where nothing had the name, or where the file system cannot exchange. Returns whether it
  // did exchange.
  Result<bool> exchange();

 private:
  friend class ImageDirectory;
  TemporaryFile(int directory, Fd fd, std::string name, std::string temporary_name);
  void discard();

  int directory_ = -1;  // the ImageDirectory's, which outlives this
  Fd fd_;
  std::string name_;
  std::string temporary_name_;  // empty: the file has no name at all
};

// What a killed writer left, in numbers.
struct Leftovers {
  unsigned files = 0;
  unsigned links = 0;  // names outside of the directory (image/link_record.h)
};

class ImageDirectory {
 public:
  // The directory must exist.
  static Result<ImageDirectory> open(const std::string& path);

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  // Makes this process the only writer, until the object goes or the process dies; Error::Conflict if there
  // is another one.
  Result<void> lock();
  // Removes what a killed writer left: temporary files, and files of a checkpoint that was not finished or is
  // no longer current; and the names that it made of files elsewhere. The lock must be held.
  Result<Leftovers> remove_leftovers();

  // Opens a regular file of the directory for reading; never follows a symbolic link, never blocks.
  Result<Fd> open_file(std::string_view name) const;
  // A fresh empty file for reading and writing, mode 0600: images hold what was in memory.
  Result<TemporaryFile> create(const std::string& name);
  // Removes a name; it need not exist.
  void remove(const std::string& name);
  // Makes names durable.
  Result<void> sync();

 private:
  ImageDirectory(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::string path_;
};

}  // namespace bpfckpt::image
