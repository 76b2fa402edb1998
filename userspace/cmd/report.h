// SPDX-License-Identifier: Apache-2.0
// How an action's failure leaves the program: one line, or one JSON object, on standard error, and an exit
// code.
#pragma once

#include <string>

#include "base/result.h"

namespace bpfckpt {

// The documented exit code (docs/exit-codes.md).
int exit_code(Error::Code code);

// {"error":{"code":"unsupported","errno":0,"text":...,"context":["dump","pid 4711"],"message":...}}, one
// line.
std::string error_as_json(const Error& error);

// Length in bytes of the well-formed UTF-8 sequence that `text` begins with; 0 where there is none.
std::size_t utf8_length(std::string_view text);

// `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);

}  // namespace bpfckpt
