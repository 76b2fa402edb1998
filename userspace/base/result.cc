// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

namespace bpfckpt {

const char* to_string(Error::Code code) {
  switch (code) {
    case Error::Code::System:
      return "system";
    case Error::Code::Unsupported:
      return "unsupported";
    case Error::Code::TargetGone:
      return "target-gone";
    case Error::Code::BadImage:
      return "bad-image";
    case Error::Code::MissingFeature:
      return "missing-feature";
    case Error::Code::Conflict:
      return "conflict";
    case Error::Code::Usage:
      return "usage";
    case Error::Code::Bug:
      return "bug";
  }
  return "?";
}

}  // namespace bpfckpt
