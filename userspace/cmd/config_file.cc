// SPDX-License-Identifier: Apache-2.0
#include "cmd/config_file.h"

#include <cerrno>
#include <fstream>
#include <sstream>

namespace bpfckpt::cli {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trim(std::string_view text) {
  auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The value of a line: `text` is what follows the option's name. `\"` and `\\` may stand inside of quotes.
Result<std::string> value_of(std::string_view text) {
  if (!text.starts_with('"')) return std::string(trim(text.substr(0, text.find('#'))));
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      auto rest = trim(text.substr(i + 1));
      if (!rest.empty() && !rest.starts_with('#')) return fail(Error::usage("text after the closing quote"));
      return value;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    value += text[i];
  }
  return fail(Error::usage("no closing quote"));
}

}  // namespace

Result<std::vector<ConfigLine>> parse_config(std::string_view text, const std::string& path) {
  std::vector<ConfigLine> lines;
  for (int number = 1; !text.empty(); ++number) {
    auto end = text.find('\n');
    auto line = trim(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty() || line.starts_with('#')) continue;

    ConfigLine parsed;
    parsed.where = fmt::format("{}:{}", path, number);
    auto name_end = line.find_first_of(" \t=#");
    parsed.option = line.substr(0, name_end);
    if (parsed.option.empty() || parsed.option.starts_with('-'))
      return fail(Error::usage("a long option without dashes was expected").in(parsed.where));
    auto rest = name_end == std::string_view::npos ? std::string_view() : trim(line.substr(name_end));
    bool equals = rest.starts_with('=');
    if (equals) rest = trim(rest.substr(1));
    TRY_ASSIGN(parsed.value, value_of(rest), "{}", parsed.where);
    parsed.has_value = equals || !parsed.value.empty() || rest.starts_with('"');
    lines.push_back(std::move(parsed));
  }
  return lines;
}

Result<std::vector<ConfigLine>> read_config(const std::string& path, bool must_exist) {
  std::ifstream file(path);
  if (!file) {
    if (!must_exist && (errno == ENOENT || errno == ENOTDIR)) return std::vector<ConfigLine>();
    return fail(Error(Error::Code::Usage, errno, fmt::format("options file {}", path)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return parse_config(text.view(), path);
}

}  // namespace bpfckpt::cli
