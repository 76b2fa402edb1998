// SPDX-License-Identifier: Apache-2.0
// bpfckpt show --html: one page that needs nothing else, neither scripts nor anything from elsewhere.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "cmd/picture.h"

namespace bpfckpt {

void print_html(const Picture& picture, std::ostream& out);

// `text` as it stands in a page or in a quoted attribute. Bytes that are no UTF-8 become U+FFFD.
std::string html_escape(std::string_view text);

}  // namespace bpfckpt
