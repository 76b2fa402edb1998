// SPDX-License-Identifier: Apache-2.0
#include "restore/fill_pages.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/fd.h"

namespace bpfckpt::restore {
namespace {

constexpr std::size_t kPage = 4096, kPages = 300;  // more than one buffer

class Area {
 public:
  Area()
      : start_(static_cast<char*>(
            ::mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    REQUIRE(start_ != MAP_FAILED);
  }
  ~Area() { ::munmap(start_, kPages * kPage); }
  char* at(std::size_t page) const { return start_ + page * kPage; }

 private:
  char* start_;
};

Fd image(const std::string& content) {
  Fd fd(::memfd_create("image", MFD_CLOEXEC));
  REQUIRE(fd);
  REQUIRE(::pwrite(fd.get(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  return fd;
}

std::string numbered_pages(std::size_t pages) {
  std::string content(pages * kPage, '\0');
  for (std::size_t i = 0; i < content.size(); i += 8) std::memcpy(&content[i], &i, 8);
  return content;
}

// Of this process; empty where there is none.
Fd userfaultfd_of(const Area& area, std::size_t pages) {
  Fd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)));
  if (!fd) return fd;
  uffdio_api api{UFFD_API, 0, 0};
  REQUIRE(::ioctl(fd.get(), UFFDIO_API, &api) == 0);
  uffdio_register registration{
      {reinterpret_cast<std::uint64_t>(area.at(0)), pages * kPage}, UFFDIO_REGISTER_MODE_MISSING, 0};
  REQUIRE(::ioctl(fd.get(), UFFDIO_REGISTER, &registration) == 0);
  return fd;
}

std::string content_of(const Area& area) {
  return {area.at(0), kPages * kPage};
}

}  // namespace

TEST_CASE("pages are filled from a file, piece by piece") {
  const std::string content = numbered_pages(kPages + 1);
  const Fd file = image(content);
  Area area;
  const std::vector<iovec> parts = {{area.at(0), kPage}, {area.at(1), (kPages - 1) * kPage}};
  image::BlockChecksum passed;
  REQUIRE(fill_pages(::getpid(), file.get(), parts, kPage, -1, &passed));
  CHECK(content_of(area) == content.substr(kPage));
  image::BlockChecksum expected;
  expected.add(std::as_bytes(std::span(content)).subspan(kPage));
  CHECK(passed.value() == expected.value());
}

TEST_CASE("a userfaultfd takes new pages; what is there or not registered is written over") {
  const std::string content = numbered_pages(kPages);
  const Fd file = image(content);
  Area area;
  const Fd userfaultfd = userfaultfd_of(area, kPages / 2);
  if (!userfaultfd) {
    MESSAGE("not tested: no userfaultfd(2) here");
    return;
  }
  // Pages of its own in the middle, which are there: the registration does not see to them.
  uffdio_zeropage zero{{reinterpret_cast<std::uint64_t>(area.at(70)), 3 * kPage}, 0, 0};
  REQUIRE(::ioctl(userfaultfd.get(), UFFDIO_ZEROPAGE, &zero) == 0);
  std::memset(area.at(71), 'x', kPage);
  const std::vector<iovec> parts = {{area.at(0), kPages * kPage}};
  const auto filled = fill_pages(::getpid(), file.get(), parts, 0, userfaultfd.get(), nullptr);
  REQUIRE_MESSAGE(filled, filled.error().message());
  CHECK(content_of(area) == content);
}

TEST_CASE("a file that is too short is an error") {
  const Fd file = image(numbered_pages(3));
  Area area;
  const std::vector<iovec> parts = {{area.at(0), 4 * kPage}};
  const auto filled = fill_pages(::getpid(), file.get(), parts, 0, -1, nullptr);
  REQUIRE(!filled);
  CHECK(filled.error().code() == Error::Code::BadImage);
}

}  // namespace bpfckpt::restore
