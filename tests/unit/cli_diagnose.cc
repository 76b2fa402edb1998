// SPDX-License-Identifier: Apache-2.0
// bpfckpt diagnose: what it says of a tree, as text and as JSON.
#include "cmd/diagnose.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <sstream>

#include "harness/synthetic_model.h"

using namespace bpfckpt;
using kinds::Verdict;

namespace {

// The synthetic tree, and one more descriptor of its root that nobody can take.
Model model_with_device() {
  Model model = synthetic::make_model("pages-1", "pages-2", "contents");
  auto& device = synthetic::add_file(model, 90, "chardev", "/dev/kvm", 2);
  device.mutable_inode()->set_mode(S_IFCHR | 0600);
  device.mutable_inode()->set_rdev(10 << 8 | 232);
  synthetic::add_fd(*model.files.mutable_tables(0), 30, 90);
  return model;
}

std::string text_of(const Model& model, const DiagnoseOptions& options) {
  std::ostringstream out;
  print_tree(diagnose_model(model, options.policy), options, out);
  return out.str();
}

const diagnose::Item* find(const Diagnosed& process, std::string_view subject) {
  for (const diagnose::Item& item : process.items)
    if (item.subject == subject) return &item;
  return nullptr;
}

}  // namespace

TEST_CASE("every process, descriptor, mapping and thread has its line") {
  auto processes = diagnose_model(model_with_device(), {});
  REQUIRE(processes.size() == 4);
  CHECK(processes[0].command == "worker");
  for (const char* subject : {"process", "thread 103", "fd 0", "fd 20", "fd 30", "mapping 500000-508000"}) {
    CAPTURE(subject);
    CHECK(find(processes[0], subject) != nullptr);
  }
  CHECK(processes[0].verdict() == Verdict::Unsupported);
  CHECK(processes[1].verdict() == Verdict::Ok);
  CHECK_FALSE(is_dumpable(processes));
  const auto* device = find(processes[0], "fd 30");
  CHECK(device->finding.code == "device");
  CHECK(device->name == "/dev/kvm");
}

TEST_CASE("what an option allows is no obstacle with it") {
  Model model = synthetic::make_model("pages-1", "pages-2", "contents");
  CHECK(is_dumpable(diagnose_model(model, {})));
  for (auto& process : *model.tasks.mutable_processes()) process.set_sid(7);
  auto without = diagnose_model(model, {});
  CHECK(without[0].verdict() == Verdict::NeedsOption);
  CHECK_FALSE(is_dumpable(without));
  CHECK(text_of(model, {}).ends_with("Can be dumped with --shell-job.\n"));
  CHECK(is_dumpable(diagnose_model(model, {.shell_job = true})));
}

TEST_CASE("text: only what is in the way, lines that fit") {
  DiagnoseOptions options;
  options.unsupported_only = true;
  CHECK(text_of(model_with_device(), options) ==
        "pid 100: worker, running\n"
        "  unsupported   fd 30  chardev  /dev/kvm\n"
        "                  character device 10:232: its driver keeps virtual machines (KVM) "
        "(--external dev[10/232]:kvm helps)\n"
        "Cannot be dumped: 1 thing unsupported.\n");
  options.unsupported_only = false;
  options.width = 50;
  std::istringstream lines(text_of(model_with_device(), options));
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 50 + 3);  // the ellipsis has three bytes
  }
}

TEST_CASE("what nobody knows is named, with why or with what helps") {
  auto finding_for = [](const char* operations) {
    Model model = synthetic::make_model("pages-1", "pages-2", "contents");
    auto& file = synthetic::add_file(model, 90, "unsupported", "anything", 2);
    file.set_operations(operations);
    file.mutable_path()->set_mount_id(0x1b);
    file.mutable_inode()->set_number(0x4d2);
    synthetic::add_fd(*model.files.mutable_tables(0), 30, 90);
    auto processes = diagnose_model(model, {});
    CHECK_FALSE(is_dumpable(processes));
    return find(processes[0], "fd 30")->finding;
  };
  CHECK(finding_for("anon_inode:kvm-vcpu:0").reason.find("KVM") != std::string::npos);
  CHECK(finding_for("place of anon_inode:[eventfd]").reason.find("O_PATH") != std::string::npos);
  CHECK(finding_for("anon_inode:[new thing]").reason ==
        "anon_inode:[new thing] is not known, and so not supported");
  CHECK(finding_for("anon_inode:[new thing]").hint.empty());
  CHECK(finding_for("x (file system 0x1234)").hint == "--external file[1b:4d2]");
}

TEST_CASE("a device that is external is opened again") {
  auto processes = diagnose_model(model_with_device(), {.external = {"dev[10/232]:machines"}});
  CHECK(is_dumpable(processes));
  CHECK(find(processes[0], "fd 30")->finding.code == "external");
  for (const char* other : {"dev[10/23]:kvm", "dev[10/2]", "dev[10/232", "machines"})
    CHECK_FALSE(is_dumpable(diagnose_model(model_with_device(), {.external = {other}})));
}

TEST_CASE("colour only where it is asked for") {
  DiagnoseOptions options;
  CHECK(text_of(model_with_device(), options).find('\x1b') == std::string::npos);
  options.colour = true;
  CHECK(text_of(model_with_device(), options).find("\x1b[31munsupported") != std::string::npos);
}

TEST_CASE("JSON") {
  DiagnoseOptions options;
  options.pid = 100;
  options.unsupported_only = true;
  std::ostringstream out;
  print_json(diagnose_model(model_with_device(), {}), options, out);
  CHECK(out.str().starts_with(
      R"j({"root":100,"dumpable":false,"processes":[{"pid":100,"parent":0,"command":"worker","state":"running",)j"
      R"j("verdict":"unsupported","items":[{"subject":"fd 30","name":"/dev/kvm","kind":"chardev",)j"
      R"j("verdict":"unsupported","code":"device",)j"
      R"j("reason":"character device 10:232: its driver keeps virtual machines (KVM)",)j"
      R"j("hint":"--external dev[10/232]:kvm"}]},{"pid":101,)j"));
}

TEST_CASE("what was not seen") {
  using namespace diagnose;
  Unseen unseen;
  CHECK(to_line(unseen).empty());
  std::ostringstream nothing;
  print_json({}, {}, nothing, unseen);
  CHECK(nothing.str().find("unseen") == std::string::npos);
  for (const char* path : {"/a", "/b", "/a"}) unseen.add("covered", path, {});
  unseen.add("watched-unnamed", "7 fd 3", {});
  CHECK(to_line(unseen) == "Not seen: covered (2 things), watched-unnamed (1 thing).");
  std::ostringstream out;
  print_json({}, {}, out, unseen);
  CHECK(out.str().ends_with(R"("processes":[],"unseen":[{"code":"covered","things":2,"lacking":[]},)"
                            R"({"code":"watched-unnamed","things":1,"lacking":[]}]})"
                            "\n"));
}

TEST_CASE("one line a process") {
  std::ostringstream out;
  print_summary(diagnose_model(model_with_device(), {}), {}, out);
  CHECK(
      out.str().starts_with("    PID  VERDICT       COMMAND          WHY\n"
                            "    100  unsupported   worker           fd 30: character device 10:232: "));
  CHECK(out.str().ends_with("3 of 4 processes can be dumped.\n"));
}

TEST_CASE("what is below a process is told with its pid") {
  Diagnosed process{100, 1, "worker", "running", {}};
  auto obstacle = [](std::uint32_t pid, const char* subject) {
    return diagnose::Item{pid, subject, "", "x", {kinds::Verdict::Unsupported, "c", "it is \"x\"", ""}};
  };
  for (std::uint32_t pid : {101U, 102U, 103U, 104U, 105U}) process.below.push_back(obstacle(pid, "fd 3"));
  CHECK(process.verdict() == kinds::Verdict::Unsupported);
  std::ostringstream out;
  print_summary({process}, {}, out);
  CHECK(out.str().find("pid 101 fd 3, pid 102 fd 3, pid 103 fd 3 and 2 more: it is \"x\"\n") !=
        std::string::npos);
  process.below.resize(1);
  out.str("");
  print_json({process}, {}, out);
  CHECK(out.str().ends_with(
      R"("verdict":"unsupported","items":[],"below":[{"pid":101,"subject":"fd 3","name":"","kind":"x",)"
      R"("verdict":"unsupported","code":"c","reason":"it is \"x\"","hint":""}]}]})"
      "\n"));
}

TEST_CASE("a pipe with ends elsewhere is a note") {
  Model model = synthetic::make_model("pages-1", "pages-2", "contents");
  for (auto& object : *model.files.mutable_objects()) {
    if (object.kind() != "pipe") continue;
    pb::Pipe pipe;
    REQUIRE(object.detail().UnpackTo(&pipe));
    pipe.set_outside_writers(2);
    object.mutable_detail()->PackFrom(pipe);
  }
  auto processes = diagnose_model(model, {});
  CHECK(is_dumpable(processes));
  const auto* pipe = find(processes[0], "fd 5");
  REQUIRE(pipe != nullptr);
  CHECK(pipe->finding.code == "pipe-outside");
  CHECK(pipe->finding.reason.starts_with("2 writers outside"));
}
