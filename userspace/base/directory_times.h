// SPDX-License-Identifier: Apache-2.0
// Names that we make for a while, in directories that are somebody's.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace bpfckpt {

// "/a" of "/a/b", "/" of "/a".
inline std::string directory_of_name(const std::string& name) {
  return name.substr(0, std::max<std::size_t>(1, name.rfind('/')));
}

// Lets `change` make or remove a name, and says whether it did; the times of the directory stay as they are.
// errno is what `change` left.
template <class Change>
bool in_directory(const std::string& name, Change change) {
  const std::string directory = directory_of_name(name);
  struct stat before{};
  const bool known = ::stat(directory.c_str(), &before) == 0;
  const bool done = change();
  const int error = errno;
  const timespec times[2] = {before.st_atim, before.st_mtim};
  if (known && done) ::utimensat(AT_FDCWD, directory.c_str(), times, 0);
  errno = error;
  return done;
}

}  // namespace bpfckpt
