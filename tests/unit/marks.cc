// SPDX-License-Identifier: Apache-2.0
// Marks that an image must not ask for are refused, whatever else is in it; sound ones become calls.
#include <doctest/doctest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <climits>

#include "images/kinds/fanotify.pb.h"
#include "images/kinds/inotify.pb.h"
#include "kinds/marks.h"
#include "restore/environment.h"

using namespace bpfckpt;

namespace {

class NobodyHasIt final : public kinds::Installed {
 public:
  std::span<const Place> places(std::uint32_t) const override { return {}; }
  Occupant at(std::uint32_t, std::uint32_t) const override { return {}; }
};

// Plans the marks of a file with that detail; the system calls, or the error's text.
template <class Detail>
Result<std::vector<long>> planned(std::string_view kind, const Detail& detail) {
  Model model;
  ModelIndex index(model);
  restore::HostEnvironment environment({});
  PlanBuilder builder(model, index, environment);
  builder.phase("marks");
  pb::File file;
  file.set_kind(std::string(kind));
  file.mutable_detail()->PackFrom(detail);
  TRY(kinds::find_watcher(kind)->plan_marks(builder, file, NobodyHasIt(), Operand(3)));
  std::vector<long> numbers;
  for (const Op& op : builder.finish().ops) numbers.push_back(op.number);
  return numbers;
}

pb::MarkTarget target(const std::string& path) {
  pb::MarkTarget target;
  target.set_path(path);
  target.set_looked_up(true);
  target.set_mode(S_IFDIR | 0755);
  return target;
}

pb::Inotify watches(std::initializer_list<int> numbers) {
  pb::Inotify inotify;
  for (const int wd : numbers) {
    auto& watch = *inotify.add_watches();
    watch.set_wd(wd);
    watch.set_mask(IN_CREATE);
    *watch.mutable_target() = target("/");
  }
  inotify.set_next_wd(static_cast<std::uint32_t>(std::max(numbers)) + 1);
  return inotify;
}

bool refused(const Result<std::vector<long>>& result) {
  return !result && result.error().code() == Error::Code::BadImage;
}

}  // namespace

TEST_CASE("inotify: numbers are set where the kernel would give others") {
  using Calls = std::vector<long>;
  CHECK(*planned("inotify", watches({1, 2})) == Calls{SYS_inotify_add_watch, SYS_inotify_add_watch});
  CHECK(*planned("inotify", watches({INT_MAX})) == Calls{SYS_ioctl, SYS_inotify_add_watch, SYS_ioctl});
  pb::Inotify gone = watches({1});
  gone.set_next_wd(9);
  CHECK(*planned("inotify", gone) == Calls{SYS_inotify_add_watch, SYS_ioctl});
}

TEST_CASE("inotify: bad watches are refused") {
  CHECK(refused(planned("inotify", watches({0}))));
  CHECK(refused(planned("inotify", watches({-1}))));
  CHECK(refused(planned("inotify", watches({2, 2}))));
  CHECK(refused(planned("inotify", watches({2, 1}))));
  pb::Inotify bad = watches({1});
  bad.mutable_watches(0)->set_mask(IN_MASK_ADD);
  CHECK(refused(planned("inotify", bad)));
  for (const char* path : {"", "relative"}) {
    bad = watches({1});
    bad.mutable_watches(0)->mutable_target()->set_path(path);
    CHECK(refused(planned("inotify", bad)));
  }
  bad = watches({1});
  bad.mutable_watches(0)->mutable_target()->set_path(std::string("/a\0b", 4));
  CHECK(refused(planned("inotify", bad)));
  bad = watches({1});
  bad.mutable_watches(0)->mutable_target()->set_looked_up(false);
  CHECK(refused(planned("inotify", bad)));
  bad = watches({1});
  bad.mutable_watches(0)->mutable_target()->set_file_id(5);
  CHECK(refused(planned("inotify", bad)));
  CHECK(refused(planned("inotify", pb::Fanotify())));  // the details of another kind
}

TEST_CASE("fanotify: bad marks are refused") {
  pb::Fanotify group;
  auto& mark = *group.add_marks();
  mark.set_mask(0x2);
  mark.set_ignored(0x8);
  *mark.mutable_target() = target("/");
  CHECK(*planned("fanotify", group) == std::vector<long>{SYS_fanotify_mark, SYS_fanotify_mark});
  mark.set_flags(0x80);  // FAN_MARK_FLUSH
  CHECK(refused(planned("fanotify", group)));
  mark.set_flags(0);
  mark.set_mask(0x10000);  // FAN_OPEN_PERM
  CHECK(refused(planned("fanotify", group)));
  mark.set_mask(0x2);
  mark.mutable_target()->set_type(static_cast<pb::MarkType>(3));
  CHECK(refused(planned("fanotify", group)));
}
