// SPDX-License-Identifier: Apache-2.0
// How often a test does again what depends on chance.
#pragma once

#include <cstdlib>

// `usual` times, or as often as this variable of the environment says.
inline unsigned rounds(const char* variable, unsigned usual) {
  const char* text = std::getenv(variable);
  return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : usual;
}
