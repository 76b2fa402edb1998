// SPDX-License-Identifier: Apache-2.0
// What a restore asks the kernel for so that nobody comes back with more than it may have, where the kernels
// that tests run on may have no such thing: utilization clamps, AppArmor's profiles, session keyrings, Yama's
// tracers.
#include <doctest/doctest.h>

#include <cstring>

#include "harness/kind_plan.h"
#include "harness/synthetic_model.h"
#include "kernel/security_label.h"
#include "restore/label_checks.h"
#include "restore/planner.h"

using namespace bpfckpt;

namespace {

class Machine : public kind_plan::EmptyMachine {
 public:
  explicit Machine(std::string label = "") : label_(std::move(label)) {}
  bool path_exists(const std::string& path) const override { return path == "/" || path == "/tmp"; }
  std::vector<SpecialMapping> special_mappings() const override {
    return {{"[vdso]", 0x7ffd00100000, 0x7ffd00102000}};
  }
  std::string security_label() const override { return label_; }

 private:
  std::string label_;
};

Model sound_model() {
  Model model = synthetic::make_model("pages-1.img", "pages-2.img", "contents.img");
  model.tasks.mutable_processes(0)->set_sid(100);
  return model;
}

Plan plan_of(const Model& model, const Machine& machine = Machine()) {
  REQUIRE(validate(model).has_value());
  auto plan = restore::make_plan(model, {}, machine);
  REQUIRE_MESSAGE(plan.has_value(), (plan ? "" : plan.error().message()));
  return std::move(*plan);
}

std::vector<const Op*> calls(const Plan& plan, std::string_view note) {
  std::vector<const Op*> found;
  for (const Op& op : plan.ops)
    if (op.note == note) found.push_back(&op);
  return found;
}

const std::vector<std::byte>& data_of(const Plan& plan, const Operand& operand) {
  REQUIRE(operand.type == Operand::Type::Data);
  return plan.data[operand.index].bytes;
}

template <class T>
T at(const std::vector<std::byte>& bytes, std::size_t offset) {
  T value;
  REQUIRE(offset + sizeof value <= bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string text_in(const std::vector<std::byte>& bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

}  // namespace

TEST_CASE("utilization clamps that were set are set again, and only those") {
  Model model = sound_model();
  auto& scheduling = *model.tasks.mutable_processes(0)->mutable_threads(1)->mutable_scheduling();
  scheduling.set_util_min(0);
  scheduling.set_util_max(512);
  const Plan plan = plan_of(model);
  int clamped = 0;
  for (const Op* op : calls(plan, "scheduling")) {
    const auto& attr = data_of(plan, op->args[1]);
    CHECK(at<std::uint32_t>(attr, 0) == 56);
    const auto flags = at<std::uint64_t>(attr, 8);
    if (op->actor != 103) CHECK((flags & 0x60) == 0);
    if (op->actor != 103) continue;
    clamped++;
    CHECK((flags & 0x60) == 0x60);
    CHECK(at<std::uint32_t>(attr, 48) == 0);
    CHECK(at<std::uint32_t>(attr, 52) == 512);
  }
  CHECK(clamped == 1);
  CHECK(calls(plan, "utilization clamps").empty());
}

TEST_CASE("utilization clamps of bpfckpt's are not for the tree") {
  class Clamped : public Machine {
    std::optional<kernel::Clamps> own_clamps() const override { return kernel::Clamps{.min = 0, .max = 300}; }
  };
  const Plan plan = plan_of(sound_model(), Clamped());
  // -1 is the system's, and nothing else of the root changes.
  const auto reset = calls(plan, "utilization clamps");
  REQUIRE(reset.size() == 1);
  CHECK(at<std::uint64_t>(data_of(plan, reset[0]->args[1]), 8) == (0x60 | 0x18));
  CHECK(at<std::uint32_t>(data_of(plan, reset[0]->args[1]), 52) == UINT32_MAX);
}

TEST_CASE("a thread asks for its AppArmor profile when all else is done") {
  Model model = sound_model();
  auto& confined = *model.tasks.add_credentials();
  confined.set_id(2);
  confined.set_security_label("/usr/bin/worker//hat (enforce)");
  model.tasks.mutable_credentials(0)->set_security_label("unconfined");
  model.tasks.mutable_processes(0)->mutable_threads(1)->set_credentials_id(2);
  model.tasks.mutable_processes(3)->mutable_threads(0)->set_credentials_id(2);  // a zombie
  REQUIRE(model.tasks.processes(3).state() == pb::ZOMBIE);

  const Plan plan = plan_of(model, Machine("unconfined"));
  const auto asked = calls(plan, "AppArmor profile");
  REQUIRE(asked.size() == 1);
  CHECK(asked[0]->actor == 103);
  CHECK(text_in(data_of(plan, asked[0]->args[1])) == "changeprofile /usr/bin/worker//hat");
  // Of all that the thread does, only to look what it got and to close that file come later.
  const Op* last = nullptr;
  for (const Op& op : plan.ops)
    if (op.actor == 103) last = &op;
  CHECK(last == asked[0] + 2);
  const auto opened = calls(plan, "for its AppArmor profile");
  REQUIRE(opened.size() == 1);
  CHECK(opened[0]->actor == 103);
  int others = 0;

  // Where bpfckpt has it already, the others ask for theirs, which is none; or there is no such thing here.
  for (const Op* op : calls(plan_of(model, Machine("/usr/bin/worker//hat (enforce)")), "AppArmor profile")) {
    CHECK(op->actor != 103);
    others++;
  }
  CHECK(others > 0);
  CHECK(calls(plan_of(model, Machine()), "AppArmor profile").empty());
  model.tasks.mutable_credentials(0)->set_security_label("/usr/bin/worker//hat (enforce)");
  CHECK(calls(plan_of(model, Machine("/usr/bin/worker//hat (enforce)")), "AppArmor profile").empty());
}

TEST_CASE("AppArmor's words") {
  CHECK(kernel::apparmor_profile("unconfined") == "unconfined");
  CHECK(kernel::apparmor_profile("a (complain)") == "a");
  CHECK(kernel::apparmor_profile("a b (c) (enforce)") == "a b (c)");
  CHECK(kernel::apparmor_profile("a//&b (mixed)") == "a//&b");
  CHECK(kernel::apparmor_profile("a(enforce)") == "a(enforce)");
}

TEST_CASE("a label that cannot be had is a conflict, before anything is made") {
  Model model = sound_model();
  CHECK(restore::check_labels(model, ModelIndex(model)).has_value());
  // On a machine that labels tasks, it is bpfckpt's own that can be had in any case.
  model.tasks.mutable_credentials(0)->set_security_label(kernel::own_label().value_or("unconfined"));
  CHECK(restore::check_labels(model, ModelIndex(model)).has_value());
  model.tasks.mutable_credentials(0)->set_security_label("bpfckpt-no-such-profile (enforce)");
  const auto checked = restore::check_labels(model, ModelIndex(model));
  REQUIRE_FALSE(checked.has_value());
  CHECK(checked.error().code() == Error::Code::Conflict);
  CHECK(checked.error().message().find(
            "pid 100: it had the security label 'bpfckpt-no-such-profile (enforce)'") != std::string::npos);
}

TEST_CASE("clamps that this kernel has not are told before anything is made") {
  class Without : public Machine {
    std::optional<kernel::Clamps> own_clamps() const override { return {}; }
  };
  Model model = sound_model();
  CHECK(calls(plan_of(model, Without()), "utilization clamps").empty());
  REQUIRE(model.tasks.processes(3).state() == pb::ZOMBIE);
  model.tasks.mutable_processes(3)->mutable_threads(0)->mutable_scheduling()->set_util_max(512);
  CHECK(restore::make_plan(model, {}, Without()).has_value());
  model.tasks.mutable_processes(0)->mutable_threads(1)->mutable_scheduling()->set_util_max(512);
  auto plan = restore::make_plan(model, {}, Without());
  REQUIRE_FALSE(plan.has_value());
  CHECK(plan.error().code() == Error::Code::MissingFeature);
  CHECK(plan.error().message().find("thread 103 has utilization clamps") != std::string::npos);
}

TEST_CASE("only a tree of another session gets a new session keyring") {
  Model model = sound_model();
  CHECK(calls(plan_of(model), "session keyring").empty());
  model.tasks.mutable_credentials(0)->set_own_session_keyring(true);
  const Plan plan = plan_of(model);
  const auto joined = calls(plan, "session keyring");
  REQUIRE(joined.size() == 1);
  CHECK(joined[0]->actor == 100);
}

TEST_CASE("who may trace a process: nobody outside of the tree, whose number may be another's by now") {
  Model model = sound_model();
  model.tasks.mutable_processes(0)->set_ptracer(4711);
  CHECK(calls(plan_of(model), "who may trace it").empty());
  model.tasks.mutable_processes(0)->set_ptracer(103);
  model.tasks.mutable_processes(1)->set_ptracer(-1);
  CHECK(calls(plan_of(model), "who may trace it").size() == 2);
}
