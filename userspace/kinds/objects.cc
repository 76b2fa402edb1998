// SPDX-License-Identifier: Apache-2.0
#include "kinds/objects.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>

namespace bpfckpt::kinds {

Result<Operand> plan_object(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  if (const Operand* made = plan.object(object.id())) return *made;
  const Kind* kind = find(object.kind());
  if (kind == nullptr || kind->make == nullptr)
    return fail(Error::bad_image(fmt::format("objects of kind {} are not known", object.kind())));
  TRY(kind->make(plan, file, object));
  const Operand* made = plan.object(object.id());
  if (made == nullptr) return fail(Error::bug("an object was made without a descriptor"));
  return *made;
}

std::string free_name(const Environment& environment, const std::string& path) {
  if (!environment.path_exists(path)) return path;
  const std::size_t name_at = path.rfind('/') + 1;
  for (int i = 0;; i++) {
    const std::string suffix = fmt::format(".bpfckpt-{}", i);
    std::string candidate = path.substr(0, name_at + NAME_MAX - suffix.size()) + suffix;
    if (!environment.path_exists(candidate)) return candidate;
  }
}

void plan_mtime(PlanBuilder& plan, Operand fd, std::int64_t mtime_ns) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  struct {
    std::int64_t seconds, ns;
  } times[2];
  // The nanoseconds count upwards before 1970, too.
  std::int64_t ns = (mtime_ns % kSecond + kSecond) % kSecond;
  for (auto& time : times) time = {(mtime_ns - ns) / kSecond, ns};
  plan.call(kSelf, SYS_utimensat, {fd, 0, Operand::data(plan.bytes_of(times)), 0});
}

std::string directory_of(const std::string& path) {
  return path.substr(0, std::max<std::size_t>(1, path.rfind('/')));
}

DirectoryTimes::DirectoryTimes(PlanBuilder& plan, Operand directory)
    : plan_(plan), directory_(directory), facts_(plan.zeroes(sizeof(struct stat))) {
  plan_.call(kSelf, SYS_newfstatat, {AT_FDCWD, directory_, Operand::data(facts_), 0}, "directory");
}

void DirectoryTimes::put_back() {
  // As utimensat(2) wants them, one after the other.
  static_assert(offsetof(struct stat, st_mtim) == offsetof(struct stat, st_atim) + sizeof(timespec));
  plan_.try_call(kSelf, SYS_utimensat,
                 {AT_FDCWD, directory_, Operand::data(facts_, offsetof(struct stat, st_atim)), 0});
}

namespace {

constexpr std::size_t kSmallBytes = 64 << 10;

// A small file that is all data: one read at a given place moves no position, so that no description of our
// own is needed. False: it has holes, or cannot be read this way (opened for writing only, O_DIRECT).
Result<bool> copy_small(EnrichContext& context, int fd, const struct stat& facts, pb::Content& content) {
  const auto size = static_cast<std::size_t>(facts.st_size);
  if (size == 0) TRY(context.add_content({}, content));
  if (size == 0) return true;
  if (size > kSmallBytes || static_cast<std::uint64_t>(facts.st_blocks) * 512 < size) return false;
  std::array<char, kSmallBytes> bytes;
  if (::pread(fd, bytes.data(), size, 0) != static_cast<ssize_t>(size)) return false;
  TRY(context.add_content(std::span(bytes).first(size), content));
  return true;
}

}  // namespace

Result<void> copy_content(EnrichContext& context, int fd, const struct stat& facts, pb::Content& content) {
  TRY_ASSIGN(const bool copied, copy_small(context, fd, facts, content));
  if (copied) return {};
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  std::string image_name;
  TRY_ASSIGN(const int image_fd, context.content_image(image_name));
  content.set_image(image_name);
  content.set_size(size);
  // A description of our own: seeking must not move the target's position, nor reading the time of access.
  const std::string link = fmt::format("/proc/self/fd/{}", fd);
  Fd own(::open(link.c_str(), O_RDONLY | O_NOATIME | O_CLOEXEC));
  if (!own && errno == EPERM) own.reset(::open(link.c_str(), O_RDONLY | O_CLOEXEC));
  if (!own) return fail(Error::system("open for reading"));
  off_t image_end = ::lseek(image_fd, 0, SEEK_END);
  if (image_end < 0) return fail(Error::system("lseek of the image"));
  for (off_t at = 0; static_cast<std::uint64_t>(at) < size;) {
    off_t data = ::lseek(own.get(), at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // nothing but a hole up to the end
    if (data < 0) return fail(Error::system("lseek(SEEK_DATA)"));
    off_t hole = ::lseek(own.get(), data, SEEK_HOLE);
    if (hole < 0) return fail(Error::system("lseek(SEEK_HOLE)"));
    hole = std::min<off_t>(hole, static_cast<off_t>(size));
    if (data >= hole) break;
    pb::Extent* extent = content.add_extents();
    extent->set_offset(static_cast<std::uint64_t>(data));
    extent->set_image_offset(static_cast<std::uint64_t>(image_end));
    for (off_t from = data; from < hole;) {
      ssize_t moved = ::sendfile(image_fd, own.get(), &from, static_cast<std::size_t>(hole - from));
      if (moved < 0) return fail(Error::system("write to the image"));
      if (moved == 0) return fail(Error::system("the file became shorter while it was copied", EIO));
    }
    extent->set_length(static_cast<std::uint64_t>(hole - data));
    image_end += hole - data;
    at = hole;
  }
  return {};
}

}  // namespace bpfckpt::kinds
