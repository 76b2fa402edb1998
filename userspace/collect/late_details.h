// SPDX-License-Identifier: Apache-2.0
// Details that can wait until the tree goes on.
//
// Records become messages at some microseconds each. Most of what is needed of a frozen tree needs no details
// of its unix sockets, of which there may be thousands, nor what its inotify and fanotify groups watch: those
// that stand in the records as a whole are described when nobody waits any more.
#pragma once

#include <vector>

#include "collect/records.h"
#include "model/model.h"

namespace bpfckpt::collect {

// What to_model() left out of a model; it points into the records, which it is given to keep.
class LateDetails {
 public:
  void keep(Records records) { records_ = std::move(records); }
  // Adds them to the model that to_model() made, by the ids of its files. To be called once.
  Result<void> complete(Model& model);

  // For to_model().
  void add(std::uint32_t file_id, const file_record& record, std::vector<const record_head*> items) {
    waiting_.push_back({file_id, &record, std::move(items)});
  }
  // The list of a file that is described already.
  void add_list(std::uint32_t file_id, std::vector<const record_head*> items) {
    waiting_.push_back({file_id, nullptr, std::move(items)});
  }

 private:
  struct Waiting {
    std::uint32_t file_id;
    const file_record* record;              // null: described already
    std::vector<const record_head*> items;  // of its list
  };
  Records records_;
  std::vector<Waiting> waiting_;
};

}  // namespace bpfckpt::collect
