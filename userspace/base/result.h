// SPDX-License-Identifier: Apache-2.0
// One error type and one result type for everything above the raw system calls.
//
// An Error says what kind of failure it is (Code, which chooses the exit status and what the caller may do
// about it), the errno if a call failed, one text, and a chain of context: each frame is added once, by the
// caller that knows the object. Printed, the outermost frame comes first:
//   dump: pid 4711: fd 7 (eventfd): pidfd_getfd: Operation not permitted
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <utility>
#include <vector>

namespace bpfckpt {

class Error {
 public:
  enum class Code {
    System,          // a system call failed; err() says how
    Unsupported,     // the target holds something that cannot be taken
    TargetGone,      // the task exited or was killed under us
    BadImage,        // an image is damaged, hostile or of another version
    MissingFeature,  // this kernel, or our privileges, lack what is needed
    Conflict,        // something on this machine is in the way (a pid that is taken, a file that changed)
    Usage,           // the command line does not make sense
    Bug,             // an invariant of ours is broken
  };

  Error(Code code, int err, std::string text) : code_(code), err_(err), text_(std::move(text)) {}

  // A failed system call: `what` names it; errno is read now.
  static Error system(std::string what) { return {Code::System, errno, std::move(what)}; }
  // The same for calls that return -errno.
  static Error system(std::string what, int err) { return {Code::System, err, std::move(what)}; }
  static Error unsupported(std::string text) { return {Code::Unsupported, 0, std::move(text)}; }
  static Error target_gone(std::string text) { return {Code::TargetGone, 0, std::move(text)}; }
  static Error bad_image(std::string text) { return {Code::BadImage, 0, std::move(text)}; }
  static Error missing_feature(std::string text) { return {Code::MissingFeature, 0, std::move(text)}; }
  static Error conflict(std::string text) { return {Code::Conflict, 0, std::move(text)}; }
  static Error usage(std::string text) { return {Code::Usage, 0, std::move(text)}; }
  static Error bug(std::string text) { return {Code::Bug, 0, std::move(text)}; }

  // Adds one frame of context outside of what is there.
  Error&& in(std::string frame) && {
    frames_.push_back(std::move(frame));
    return std::move(*this);
  }

  Code code() const { return code_; }
  int err() const { return err_; }
  const std::string& text() const { return text_; }
  // Outermost frame last.
  const std::vector<std::string>& frames() const { return frames_; }

  // One line: the frames, outermost first, the text, and the errno's words.
  std::string message() const {
    std::string line;
    for (auto it = frames_.rbegin(); it != frames_.rend(); ++it) line += *it + ": ";
    line += text_;
    if (err_ != 0) line += fmt::format(": {}", std::strerror(err_));
    return line;
  }

 private:
  Code code_;
  int err_;
  std::string text_;
  std::vector<std::string> frames_;
};

const char* to_string(Error::Code code);

template <class T>
using Result = std::expected<T, Error>;
using Failure = std::unexpected<Error>;

// `return fail(Error::system("open"))` or `return fail(std::move(result.error()).in("pid 7"))`.
inline Failure fail(Error error) {
  return Failure(std::move(error));
}

}  // namespace bpfckpt

// Leaves the function with the error of a Result; an optional fmt string and arguments add a frame of
// context.
#define BPFCKPT_CONCAT_(a, b) a##b
#define BPFCKPT_CONCAT(a, b) BPFCKPT_CONCAT_(a, b)
#define TRY(expr, ...)                                                                                 \
  do {                                                                                                 \
    if (auto&& try_result = (expr); !try_result)                                                       \
      return ::bpfckpt::fail(std::move(try_result.error()) __VA_OPT__(.in(fmt::format(__VA_ARGS__)))); \
  } while (0)
// Declares or assigns `lhs` from a Result's value, or leaves the function like TRY.
#define TRY_ASSIGN(lhs, expr, ...) TRY_ASSIGN_(BPFCKPT_CONCAT(try_result_, __LINE__), lhs, expr, __VA_ARGS__)
#define TRY_ASSIGN_(tmp, lhs, expr, ...)                                                              \
  auto&& tmp = (expr);                                                                                \
  if (!tmp) return ::bpfckpt::fail(std::move(tmp.error()) __VA_OPT__(.in(fmt::format(__VA_ARGS__)))); \
  lhs = std::move(*tmp)
