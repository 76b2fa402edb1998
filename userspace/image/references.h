// SPDX-License-Identifier: Apache-2.0
// Checks what validate() cannot know: that everything that the model says of raw files (page runs, extents of
// contents, also inside of the details of kinds) lies inside of files that the manifest names.
#pragma once

#include "base/result.h"
#include "images/manifest.pb.h"
#include "model/model.h"

namespace bpfckpt::image {

// The model has passed validate().
Result<void> check_references(const Model& model, const pb::Manifest& manifest);

}  // namespace bpfckpt::image
