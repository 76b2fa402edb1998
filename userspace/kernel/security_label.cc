// SPDX-License-Identifier: Apache-2.0
#include "kernel/security_label.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

#include "base/fd.h"

namespace bpfckpt::kernel {
namespace {

// Selinux's end in a NUL, the others' in an end of line; a page is the most that fits (fs/proc/base.c).
std::optional<std::string> read_label(int fd) {
  std::array<char, 4096> text;
  const ssize_t len = ::pread(fd, text.data(), text.size(), 0);
  if (len <= 0) return std::nullopt;
  std::string_view label(text.data(), static_cast<std::size_t>(len));
  while (!label.empty() && (label.back() == '\n' || label.back() == '\0')) label.remove_suffix(1);
  if (label.empty()) return std::nullopt;
  return std::string(label);
}

std::optional<std::string> read_label(const char* path) {
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  return file ? read_label(file.get()) : std::nullopt;
}

}  // namespace

LabelModule label_module() {
  if (!own_label()) return LabelModule::None;
  return read_label(kApparmorAttribute) ? LabelModule::AppArmor : LabelModule::Other;
}

std::optional<std::string> label_of(std::uint32_t tid, const char* attribute) {
  return read_label(fmt::format("/proc/{}/attr/{}", tid, attribute).c_str());
}

std::optional<std::string> own_label() {
  return read_label("/proc/thread-self/attr/current");
}

std::string_view apparmor_profile(std::string_view label) {
  const std::size_t mode = label.ends_with(')') ? label.rfind(" (") : std::string_view::npos;
  return label.substr(0, mode);
}

std::string apparmor_change(std::string_view label) {
  return fmt::format("changeprofile {}", apparmor_profile(label));
}

Result<void> try_apparmor_label(const std::string& label) {
  Result<void> result;
  // Credentials are a thread's own, and gone with it.
  std::thread([&] {
    const Fd file(::open(kApparmorAttribute, O_RDWR | O_CLOEXEC));
    const std::string words = apparmor_change(label);
    if (!file || ::write(file.get(), words.data(), words.size()) < 0) {
      result = fail(Error::conflict(errno == ENOENT
                                        ? fmt::format("AppArmor has no profile '{}'", apparmor_profile(label))
                                        : fmt::format("AppArmor does not give the profile '{}': {}",
                                                      apparmor_profile(label), std::strerror(errno))));
      return;
    }
    if (const auto got = read_label(file.get()); got != label)
      result = fail(Error::conflict(
          fmt::format("AppArmor gives the label '{}' instead of '{}'", got.value_or(""), label)));
  }).join();
  return result;
}

}  // namespace bpfckpt::kernel
