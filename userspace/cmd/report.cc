// SPDX-License-Identifier: Apache-2.0
#include "cmd/report.h"

namespace bpfckpt {
// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) return 1;
  std::size_t length = first >= 0xc2 && first < 0xe0   ? 2
                       : first >= 0xe0 && first < 0xf0 ? 3
                       : first >= 0xf0 && first < 0xf5 ? 4
                                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) >= 0xa0) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

int exit_code(Error::Code code) {
  switch (code) {
    case Error::Code::System:
      return 1;
    case Error::Code::Usage:
      return 2;
    case Error::Code::Unsupported:
      return 3;
    case Error::Code::TargetGone:
      return 4;
    case Error::Code::BadImage:
      return 5;
    case Error::Code::MissingFeature:
      return 6;
    case Error::Code::Conflict:
      return 7;
    case Error::Code::Bug:
      return 70;  // EX_SOFTWARE of <sysexits.h>
  }
  return 70;
}

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    auto length = utf8_length(text);
    if (length == 0) {
      out += "\\ufffd";
      length = 1;
    } else if (char c = text[0]; c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out + '"';
}

std::string error_as_json(const Error& error) {
  std::string context;
  for (auto it = error.frames().rbegin(); it != error.frames().rend(); ++it)
    context += (context.empty() ? "" : ",") + json_quote(*it);
  return fmt::format(R"({{"error":{{"code":{},"errno":{},"text":{},"context":[{}],"message":{}}}}})",
                     json_quote(to_string(error.code())), error.err(), json_quote(error.text()), context,
                     json_quote(error.message()));
}

}  // namespace bpfckpt
