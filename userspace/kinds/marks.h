// SPDX-License-Identifier: Apache-2.0
// What inotify and fanotify share: marks, and names for what they are on.
//
// A mark holds an inode. What it is called is known only while the cache has a name for it, and only below
// the root of its file system. So BPF tells that much (bpf/kinds/marks.h), and which mount shows it under
// what path is looked up afterwards, when nobody waits: stat(2) makes no events.
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "images/kinds/marks.pb.h"
#include "kinds/kind.h"
#include "plan/plan.h"

struct mark_record;

namespace bpfckpt::kinds {

// What a kind that watches brings beyond its row.
struct Watcher {
  std::string_view name;  // the stem
  using Visit = std::function<void(pb::MarkTarget&)>;
  // Shows every target of file.detail, and keeps what is changed.
  Result<void> (*for_each_target)(pb::File& file, const Visit& visit) = nullptr;
  // Adds to the plan what makes the marks again, through bpfckpt's descriptor `fd`. The last thing in a plan
  // that touches files.
  Result<void> (*plan_marks)(PlanBuilder& plan, const pb::File& file, const Installed& installed,
                             Operand fd) = nullptr;
};

// Codes of findings about what is watched: it has no name; its name leads where we may not look.
inline constexpr const char* kWatchedUnnamed = "watched-unnamed";
inline constexpr const char* kWatchedUnseen = "watched-unseen";

// Null: the kind does not watch.
const Watcher* find_watcher(std::string_view kind);

// Completes every target of the model: a path, or why there is none. Stats what is watched, so it is done
// when nobody waits.
Result<void> look_up_targets(Model& model);

// A mark, and what the names that trail its record come to where it has one.
struct Mark {
  const mark_record* record = nullptr;
  const std::string* directory = nullptr;  // "" is the root; null: it has no name
  std::string_view name;                   // "": it is the root
};
struct Marks {
  std::vector<Mark> marks;
  std::deque<std::string> directories;  // which many share
};
// The items of a list, in its order, as marks; Error::Bug where one is of another type, or is told to be
// beside one that is not there.
Result<Marks> to_marks(std::span<const record_head* const> items);
pb::MarkTarget to_target(const Mark& mark);

// How bpfckpt reaches it at restore. Error::BadImage where that cannot be told.
Result<std::string> path_to(const pb::MarkTarget& target, const Installed& installed);

// Ok, or that the target cannot be named. `what` begins the reason: "watch 3", "a mark".
Finding judge_target(const pb::MarkTarget& target, const std::string& what);
// Ok; a note where there are some.
Finding judge_unread(std::uint32_t events);

}  // namespace bpfckpt::kinds
