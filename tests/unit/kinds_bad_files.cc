// SPDX-License-Identifier: Apache-2.0
// What an image says of files is not believed: damaged details of deleted files, links and files of proc are
// refused when the plan is made, by name.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <functional>

#include "harness/kind_plan.h"
#include "harness/synthetic_model.h"
#include "images/kinds/procfs.pb.h"
#include "restore/planner.h"

using namespace bpfckpt;
using namespace bpfckpt::synthetic;

namespace {

class EmptyMachine : public kind_plan::EmptyMachine {
 public:
  bool path_exists(const std::string& path) const override {
    return path == "/" || path == "/tmp" || path == "/tmp/.";
  }
  std::vector<SpecialMapping> special_mappings() const override {
    return {{"[vdso]", 0x7ffd00100000, 0x7ffd00102000}};
  }
};

Model model_with(const std::function<void(pb::File&, pb::FileObject&)>& change) {
  Model model = make_model("pages-1.img", "pages-2.img", "contents.img");
  model.tasks.mutable_processes(0)->set_sid(100);
  auto& file = *model.files.mutable_files(4);  // the deleted one
  file.mutable_inode()->set_mode(0100644);
  change(file, *model.files.mutable_objects(1));
  return model;
}

Result<Plan> planned(const Model& model) {
  return restore::make_plan(model, {}, EmptyMachine());
}

void change_ghost(pb::FileObject& object, const std::function<void(pb::GhostFile&)>& change) {
  pb::GhostFile ghost;
  REQUIRE(object.detail().UnpackTo(&ghost));
  change(ghost);
  object.mutable_detail()->PackFrom(ghost);
}

void be_of_proc(pb::File& file, pb::ProcFile::Owner owner, std::uint32_t process) {
  file.set_kind("procfs");
  file.set_object_id(0);
  file.mutable_path()->set_path(fmt::format("/proc/{}/status", process));
  pb::ProcFile detail;
  detail.set_owner(owner);
  detail.set_process(process);
  file.mutable_detail()->PackFrom(detail);
}

struct Row {
  const char* message;  // part of what is said
  std::function<void(pb::File&, pb::FileObject&)> change;
};

void set_attribute(pb::FileObject& object, std::string name, std::size_t value_bytes) {
  change_ghost(object, [&](pb::GhostFile& ghost) {
    ghost.add_attributes()->set_name(std::move(name));
    ghost.mutable_attributes(0)->set_value(std::string(value_bytes, 'v'));
  });
}

void be_linked(pb::FileObject& object, const std::string& path) {
  pb::LinkedFile linked;
  linked.set_path(path);
  object.mutable_detail()->PackFrom(linked);
}

const Row kRows[] = {
    {"details are of another type",
     [](auto&, auto& object) { object.mutable_detail()->PackFrom(pb::Pipe()); }},
    {"bad mode", [](auto&, auto& object) { change_ghost(object, [](auto& g) { g.set_mode(0010666); }); }},
    {"path is not absolute", [](auto& file, auto&) { file.mutable_path()->set_path("scratch"); }},
    {"bad target", [](auto&, auto& object) { change_ghost(object, [](auto& g) { g.set_mode(0120777); }); }},
    {"bad extended attribute", [](auto&, auto& object) { set_attribute(object, "security.selinux", 3); }},
    {"bad extended attribute",
     [](auto&, auto& object) { set_attribute(object, std::string("user.a\0b", 8), 3); }},
    {"bad extended attribute", [](auto&, auto& object) { set_attribute(object, "user.a", 65537); }},
    {"bad extended attribute",
     [](auto&, auto& object) { set_attribute(object, "user." + std::string(300, 'a'), 1); }},
    {"too many extended attributes",
     [](auto&, auto& object) {
       change_ghost(object, [](auto& g) {
         for (int i = 0; i < 5000; i++) g.add_attributes()->set_name("user.x");
       });
     }},
    {"removed directory: bad path",
     [](auto& file, auto& object) {
       file.mutable_inode()->set_mode(0040755);
       file.mutable_path()->set_path("/tmp/");
       change_ghost(object, [](auto& g) { g.set_mode(0040755); });
     }},
    {"linked file: bad path", [](auto&, auto& object) { be_linked(object, ""); }},
    {"linked file: bad path", [](auto&, auto& object) { be_linked(object, "relative"); }},
    {"linked file: bad path", [](auto&, auto& object) { be_linked(object, std::string("/a\0b", 4)); }},
    {"unknown advice",
     [](auto& file, auto&) {
       pb::RegularFile detail;
       detail.set_read_ahead(7);
       file.mutable_detail()->PackFrom(detail);
     }},
    {"unknown advice",
     [](auto& file, auto&) {
       pb::RegularFile detail;
       detail.set_write_hint(6);
       file.mutable_detail()->PackFrom(detail);
     }},
    {"details are of another type", [](auto& file, auto&) { file.mutable_detail()->PackFrom(pb::Pipe()); }},
    {"details are of another type",
     [](auto& file, auto&) {
       be_of_proc(file, pb::ProcFile::TREE, 100);
       file.mutable_detail()->PackFrom(pb::Pipe());
     }},
    {"no process 4711", [](auto& file, auto&) { be_of_proc(file, pb::ProcFile::TREE, 4711); }},
    {"process 101 is gone, and is not", [](auto& file, auto&) { be_of_proc(file, pb::ProcFile::GONE, 101); }},
    {"process 103 is gone, and is not", [](auto& file, auto&) { be_of_proc(file, pb::ProcFile::GONE, 103); }},
    {"path is not absolute",
     [](auto& file, auto&) {
       be_of_proc(file, pb::ProcFile::NOBODY, 0);
       file.mutable_path()->set_path("proc/version");
     }},
    {"cannot be opened again",
     [](auto& file, auto&) {
       be_of_proc(file, pb::ProcFile::TREE, 100);
       pb::ProcFile detail;
       REQUIRE(file.detail().UnpackTo(&detail));
       detail.set_obstacle("closed");
       file.mutable_detail()->PackFrom(detail);
     }},
};

}  // namespace

TEST_CASE("sound details are planned") {
  for (const auto& change : std::vector<std::function<void(pb::File&, pb::FileObject&)>>{
           [](auto&, auto&) {},
           [](auto&, auto& object) { be_linked(object, "/tmp/other"); },
           [](auto&, auto& object) { set_attribute(object, "user.a", 65536); },
           [](auto& file, auto&) { file.mutable_path()->set_path("/not/there/scratch"); },
           [](auto& file, auto&) { be_of_proc(file, pb::ProcFile::TREE, 102); },
           [](auto& file, auto&) { be_of_proc(file, pb::ProcFile::GONE, 4711); },
       }) {
    auto plan = planned(model_with(change));
    CHECK_MESSAGE(plan.has_value(), plan.error().message());
  }
}

TEST_CASE("damaged details are refused") {
  for (const Row& row : kRows) {
    CAPTURE(row.message);
    auto plan = planned(model_with(row.change));
    REQUIRE(!plan.has_value());
    CHECK(plan.error().code() == Error::Code::BadImage);
    CHECK_MESSAGE(plan.error().message().find(row.message) != std::string::npos, plan.error().message());
  }
}
