// SPDX-License-Identifier: Apache-2.0
// Marks of inotify and fanotify against the lines of /proc/PID/fdinfo, and the names that are found for them.
#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <set>

#include "harness/skip.h"
#include "images/kinds/fanotify.pb.h"
#include "images/kinds/inotify.pb.h"
#include "kinds/marks.h"
#include "oracle/target.h"

using namespace oracle;
namespace pb = bpfckpt::pb;

namespace {

constexpr int kInotify = 900, kFanotify = 901;
constexpr int kWatches = 600;  // more than one reading of the collector brings

// A directory of its own, removed with everything in it.
class Directory {
 public:
  Directory() {
    char name[] = "/tmp/bpfckpt-marks-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  Directory(const Directory&) = delete;
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bpfckpt::Model looked_up_model(pid_t pid) {
  bpfckpt::Model model = model_of(pid);
  auto looked_up = bpfckpt::kinds::look_up_targets(model);
  if (!looked_up) FAIL(looked_up.error().message());
  return model;
}

template <class Detail>
Detail detail_of(const bpfckpt::Model& model, std::uint32_t fd) {
  bpfckpt::ModelIndex index(model);
  Detail detail;
  for (const auto& entry : model.files.tables(0).entries())
    if (entry.fd() == fd) REQUIRE(index.file(entry.file_id())->detail().UnpackTo(&detail));
  return detail;
}

// The kernel prints its own dev_t in hexadecimal.
unsigned kernel_device(unsigned device) {
  return major(device) << 20 | minor(device);
}

}  // namespace

TEST_CASE("inotify watches, as fdinfo shows them") {
  Directory directory;
  const std::string& top = directory.path();
  Target target([&] {
    const int fd = ::inotify_init1(IN_NONBLOCK);
    for (int i = 0; i < kWatches; ++i) {
      const std::string path = top + "/" + std::string(1 + i % 200, 'a' + i / 200);
      ::mkdir(path.c_str(), 0755);
      ::inotify_add_watch(fd, path.c_str(), i % 2 ? IN_CREATE | IN_EXCL_UNLINK : IN_ALL_EVENTS | IN_ONESHOT);
      if (i % 7 == 0) ::inotify_rm_watch(fd, i + 1);
    }
    ::rename((top + "/bb").c_str(), (top + "/renamed").c_str());
    char buffer[65536];
    while (::read(fd, buffer, sizeof(buffer)) > 0) continue;
    ::rmdir((top + "/ccc").c_str());  // IN_IGNORED alone or with what came before: read below
    ::dup2(fd, kInotify);
  });
  const auto inotify = detail_of<pb::Inotify>(looked_up_model(target.pid()), kInotify);
  std::set<std::string> expected, seen;
  for (const std::string& line : target.lines("fdinfo/900"))
    if (line.starts_with("inotify ")) expected.insert(line.substr(0, line.find(" ignored_mask")));
  CHECK(expected.size() > kWatches / 2);
  for (const auto& watch : inotify.watches()) {
    seen.insert(fmt::format("inotify wd:{:x} ino:{:x} sdev:{:x} mask:{:x}", watch.wd(),
                            watch.target().number(), kernel_device(watch.target().device()), watch.mask()));
    struct stat st{};
    CHECK(::lstat(watch.target().path().c_str(), &st) == 0);
    CHECK(st.st_ino == watch.target().number());
    CHECK(watch.target().path().starts_with(top + "/"));
    CHECK(watch.target().unnamed().empty());
  }
  CHECK(seen == expected);
  CHECK(inotify.next_wd() == kWatches + 1);
  CHECK(inotify.unread_events() > 0);
}

TEST_CASE("a watch on what has lost its name is known by who has it open") {
  Directory directory;
  Target target([&] {
    const int fd = ::inotify_init1(IN_NONBLOCK);
    const std::string open = directory.path() + "/open";
    const int held = ::open(open.c_str(), O_CREAT | O_RDWR, 0644);
    ::inotify_add_watch(fd, open.c_str(), IN_MODIFY);
    ::unlink(open.c_str());
    ::dup2(held, 950);
    ::dup2(fd, kInotify);
  });
  const auto model = looked_up_model(target.pid());
  const auto inotify = detail_of<pb::Inotify>(model, kInotify);
  REQUIRE(inotify.watches_size() == 1);
  std::uint32_t held = 0;
  for (const auto& entry : model.files.tables(0).entries())
    if (entry.fd() == 950) held = entry.file_id();
  CHECK(held != 0);
  CHECK(inotify.watches(0).target().file_id() == held);
  CHECK(inotify.watches(0).target().path().empty());
}

TEST_CASE("fanotify marks, as fdinfo shows them") {
  const int probe = ::fanotify_init(FAN_CLASS_NOTIF | FAN_UNLIMITED_QUEUE, O_RDONLY);
  REQUIRE_FEATURE(probe >= 0, "fanotify");
  ::close(probe);
  Directory directory;
  const std::string& top = directory.path();
  Target target([&] {
    const int fd = ::fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_TID, O_RDWR | O_NOATIME);
    ::fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN | FAN_ONDIR | FAN_EVENT_ON_CHILD, AT_FDCWD,
                    top.c_str());
    ::fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_CLOSE_WRITE,
                    AT_FDCWD, top.c_str());
    ::fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CLOSE_WRITE, AT_FDCWD, "/sys");
    ::fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CLOSE_WRITE, AT_FDCWD, "/dev/shm");
    ::close(::open(top.c_str(), O_RDONLY | O_DIRECTORY));
    ::dup2(fd, kFanotify);
  });
  const auto fanotify = detail_of<pb::Fanotify>(looked_up_model(target.pid()), kFanotify);
  std::set<std::string> expected, seen;
  for (const std::string& line : target.lines("fdinfo/901"))
    if (line.starts_with("fanotify ")) expected.insert(line.substr(0, line.find(" fhandle")));
  CHECK(expected.size() == 4);
  seen.insert(
      fmt::format("fanotify flags:{:x} event-flags:{:x}", fanotify.init_flags(), fanotify.event_flags()));
  for (const auto& mark : fanotify.marks()) {
    const auto& on = mark.target();
    const std::string rest =
        fmt::format("mflags:{:x} mask:{:x} ignored_mask:{:x}", mark.flags(), mark.mask(), mark.ignored());
    if (on.type() == pb::MARK_INODE) {
      seen.insert(
          fmt::format("fanotify ino:{:x} sdev:{:x} {}", on.number(), kernel_device(on.device()), rest));
      CHECK(on.path() == top);
    } else if (on.type() == pb::MARK_MOUNT) {
      seen.insert(fmt::format("fanotify mnt_id:{:x} {}", on.mount_id(), rest));
      CHECK(on.path() == "/sys");
    } else {
      seen.insert(fmt::format("fanotify sdev:{:x} {}", kernel_device(on.device()), rest));
      CHECK(on.path() == "/dev/shm");
    }
  }
  CHECK(seen == expected);
  CHECK(fanotify.unread_events() > 0);
  CHECK(fanotify.unanswered() == 0);
}
