// SPDX-License-Identifier: Apache-2.0
// validate(): a sound model passes; each row breaks one thing and is told by name.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <functional>

#include "harness/synthetic_model.h"
#include "model/model.h"

using namespace bpfckpt;
using namespace bpfckpt::synthetic;

namespace {

struct Row {
  const char* message;  // part of what is said
  std::function<void(Model&)> break_it;
};

pb::Process& process(Model& model, int i) {
  return *model.tasks.mutable_processes(i);
}
pb::Thread& leader(Model& model) {
  return *process(model, 0).mutable_threads(0);
}
pb::AddressSpace& mm(Model& model, int i) {
  return *model.memory.mutable_address_spaces(i);
}
pb::Vma& vma(Model& model, int i) {
  return *mm(model, 0).mutable_vmas(i);
}
pb::PageRun& run(Model& model, int i) {
  return *mm(model, 0).mutable_pages(i);
}
pb::File& file(Model& model, int i) {
  return *model.files.mutable_files(i);
}

// A sound one, of the first file.
pb::FileLock& add_lock(Model& model, pb::LockKind kind) {
  file(model, 0).set_flags(O_RDWR);
  pb::FileLock& lock = *model.files.add_locks();
  lock.set_kind(kind);
  lock.set_file_id(file(model, 0).id());
  if (kind == pb::LOCK_POSIX) lock.set_fd_table_id(model.files.tables(0).id());
  lock.set_type(F_RDLCK);
  lock.set_end(100);
  return lock;
}

const Row kRows[] = {
    {"no processes", [](Model& m) { m.tasks.clear_processes(); }},
    {"the root of the tree has a parent", [](Model& m) { process(m, 0).set_parent_pid(1); }},
    {"does not come before it", [](Model& m) { m.tasks.mutable_processes()->SwapElements(1, 2); }},
    {"does not come before it", [](Model& m) { process(m, 1).set_parent_pid(101); }},
    {"does not come before it", [](Model& m) { process(m, 1).set_parent_pid(0); }},
    {"is a zombie", [](Model& m) { add_process(m, 200, 102, "orphan", 1); }},
    {"thread id 103 is bad or used twice", [](Model& m) { add_thread(process(m, 1), 103, "twin"); }},
    {"thread id 0 is bad", [](Model& m) { process(m, 0).mutable_threads(1)->set_tid(0); }},
    {"not the leader", [](Model& m) { process(m, 0).mutable_threads()->SwapElements(0, 1); }},
    {"no threads", [](Model& m) { process(m, 0).clear_threads(); }},
    {"bad state", [](Model& m) { process(m, 0).set_state(static_cast<pb::ProcessState>(9)); }},
    {"no address space 0", [](Model& m) { process(m, 0).set_mm_id(0); }},
    {"no address space 7", [](Model& m) { process(m, 0).set_mm_id(7); }},
    {"no fd table 7", [](Model& m) { process(m, 0).set_fd_table_id(7); }},
    {"no fs context 7", [](Model& m) { process(m, 0).set_fs_id(7); }},
    {"no namespaces 7", [](Model& m) { process(m, 0).set_namespaces_id(7); }},
    {"no credentials", [](Model& m) { leader(m).set_credentials_id(0); }},
    {"bad utilization clamps", [](Model& m) { leader(m).mutable_scheduling()->set_util_min(UINT32_MAX); }},
    {"bad utilization clamps", [](Model& m) { leader(m).mutable_scheduling()->set_util_max(1025); }},
    {"bad deadline flags", [](Model& m) { leader(m).mutable_scheduling()->set_deadline_flags(8); }},
    {"bad tracer", [](Model& m) { process(m, 0).set_ptracer(-2); }},
    {"bad tracer", [](Model& m) { process(m, 0).set_ptracer((1 << 22) + 1); }},
    {"bytes of registers", [](Model& m) { leader(m).mutable_registers()->pop_back(); }},
    {"bytes of extended state", [](Model& m) { leader(m).mutable_xstate()->resize(511); }},
    {"comm is too long", [](Model& m) { leader(m).set_comm(std::string(61, 'x')); }},
    {"no UTF-8", [](Model& m) { leader(m).set_comm("caf\xe9"); }},
    {"siginfo has 127 bytes", [](Model& m) { process(m, 0).set_pending(0, std::string(127, 'x')); }},
    {"two actions for signal 10", [](Model& m) { process(m, 0).add_sigactions()->set_signal(10); }},
    {"bad signal 65", [](Model& m) { process(m, 0).add_sigactions()->set_signal(65); }},
    {"rseq area", [](Model& m) { leader(m).mutable_rseq()->set_len(1 << 20); }},
    {"fs context id 1 is zero or used twice", [](Model& m) { m.tasks.add_fs_contexts()->set_id(1); }},
    {"credentials id 0", [](Model& m) { m.tasks.mutable_credentials(0)->set_id(0); }},
    {"bad umask", [](Model& m) { m.tasks.mutable_fs_contexts(0)->set_umask(01000); }},
    {"path is too long",
     [](Model& m) { m.tasks.mutable_fs_contexts(0)->mutable_cwd()->set_path(std::string(4097, '/')); }},
    {"zero byte",
     [](Model& m) { m.tasks.mutable_fs_contexts(0)->mutable_cwd()->set_path(std::string("/a\0b", 4)); }},

    {"bad bounds", [](Model& m) { vma(m, 0).set_end(vma(m, 0).start()); }},
    {"bad bounds", [](Model& m) { vma(m, 0).set_start(0x400001); }},
    {"bad bounds", [](Model& m) { vma(m, 5).set_end(0xffffffffff601000); }},
    {"overlaps", [](Model& m) { vma(m, 0).set_end(0x403000); }},
    {"overlaps", [](Model& m) { mm(m, 0).mutable_vmas()->SwapElements(0, 1); }},
    {"bad kind", [](Model& m) { vma(m, 0).set_kind(static_cast<pb::VmaKind>(77)); }},
    {"bad file offset", [](Model& m) { vma(m, 1).set_file_offset(UINT64_MAX - 4095); }},
    {"no file 0", [](Model& m) { vma(m, 0).set_file_id(0); }},
    {"no file 99", [](Model& m) { vma(m, 2).set_file_id(99); }},
    {"no file 99", [](Model& m) { mm(m, 0).set_exe_file_id(99); }},
    {"bad auxv", [](Model& m) { mm(m, 0).add_auxv(1); }},
    {"not inside of a mapping", [](Model& m) { run(m, 0).set_count(2); }},
    {"not inside of a mapping", [](Model& m) { run(m, 1).set_count(UINT32_MAX); }},
    {"not inside of a mapping", [](Model& m) { run(m, 0).set_start(0x404000); }},
    {"page run 0x500000: overlaps", [](Model& m) { run(m, 0).set_start(0x502000); }},
    {"bad bounds", [](Model& m) { run(m, 0).set_count(0); }},
    {"bad bounds", [](Model& m) { run(m, 2).set_start(UINT64_MAX - 4095); }},
    {"bad index", [](Model& m) { run(m, 0).set_index(UINT64_MAX); }},
    {"no address space 9", [](Model& m) { run(m, 0).set_owner_mm_id(9); }},
    {"no page image", [](Model& m) { mm(m, 0).clear_page_images(); }},
    {"beyond the end of its image",
     [](Model& m) {
       run(m, 0).set_index((std::uint64_t{1} << 40) - 1);
       run(m, 0).set_count(2);
     }},
    {"no page image 1", [](Model& m) { run(m, 0).set_index(std::uint64_t{1} << 40); }},
    {"page image is empty", [](Model& m) { mm(m, 0).add_page_images(""); }},

    {"bad kind", [](Model& m) { file(m, 0).clear_kind(); }},
    {"no file object 9", [](Model& m) { file(m, 0).set_object_id(9); }},
    {"file id 1", [](Model& m) { file(m, 1).set_id(1); }},
    {"detail of unknown type",
     [](Model& m) { file(m, 0).mutable_detail()->set_type_url("type.googleapis.com/x.Y"); }},
    {"detail of unknown type",
     [](Model& m) { file(m, 0).mutable_detail()->set_type_url("type.googleapis.com/google.protobuf.Any"); }},
    {"cannot be parsed",
     [](Model& m) { m.files.mutable_objects(0)->mutable_detail()->set_value("\xff\xff"); }},
    {"bad extent",
     [](Model& m) {
       pb::GhostFile ghost;
       ghost.mutable_content()->set_size(4096);
       auto* extent = ghost.mutable_content()->add_extents();
       extent->set_offset(4095);
       extent->set_length(UINT64_MAX);
       m.files.mutable_objects(1)->mutable_detail()->PackFrom(ghost);
     }},
    {"fd 0 is bad or not in order",
     [](Model& m) { m.files.mutable_tables(0)->mutable_entries()->SwapElements(0, 1); }},
    {"fd 20: no file 9", [](Model& m) { m.files.mutable_tables(0)->mutable_entries(3)->set_file_id(9); }},
    {"no file 99", [](Model& m) { add_lock(m, pb::LOCK_POSIX).set_file_id(99); }},
    {"bad kind", [](Model& m) { add_lock(m, static_cast<pb::LockKind>(4)); }},
    {"bad type", [](Model& m) { add_lock(m, pb::LOCK_FLOCK).set_type(2); }},
    {"no process 99", [](Model& m) { add_lock(m, pb::LOCK_FLOCK).set_pid(99); }},
    {"bad range", [](Model& m) { add_lock(m, pb::LOCK_OPEN_FILE).set_start(101); }},
    {"bad range", [](Model& m) { add_lock(m, pb::LOCK_POSIX).set_end(std::uint64_t{1} << 63); }},
    {"bad access mode",
     [](Model& m) {
       add_lock(m, pb::LOCK_POSIX).set_type(F_WRLCK);
       m.files.mutable_files(0)->set_flags(O_RDONLY);
     }},
    {"bad access mode",
     [](Model& m) {
       add_lock(m, pb::LOCK_OPEN_FILE);
       m.files.mutable_files(0)->set_flags(O_WRONLY);
     }},
    {"O_PATH",
     [](Model& m) {
       add_lock(m, pb::LOCK_FLOCK);
       m.files.mutable_files(0)->set_flags(O_PATH);
     }},
    {"no fd table 7", [](Model& m) { add_lock(m, pb::LOCK_POSIX).set_fd_table_id(7); }},
    {"fd table 1", [](Model& m) { add_lock(m, pb::LOCK_FLOCK).set_fd_table_id(1); }},
    {"no lease", [](Model& m) { add_lock(m, pb::LOCK_FLOCK).set_broken_by_writer(true); }},
    {"bad fd", [](Model& m) { add_lock(m, pb::LOCK_LEASE).set_fd(UINT32_MAX); }},
    {"bad owner type", [](Model& m) { file(m, 0).mutable_owner()->set_type(3); }},
};

}  // namespace

TEST_CASE("a sound model") {
  auto result = validate(make_model("a", "b", "c"));
  CHECK_MESSAGE(result.has_value(), result.error().message());
}

TEST_CASE("a model with one thing broken") {
  for (const auto& row : kRows) {
    Model model = make_model("a", "b", "c");
    row.break_it(model);
    auto result = validate(model);
    CAPTURE(row.message);
    CAPTURE(&row - kRows);
    REQUIRE(!result.has_value());
    CHECK(result.error().code() == Error::Code::BadImage);
    CHECK_MESSAGE(result.error().message().find(row.message) != std::string::npos, result.error().message());
  }
}

TEST_CASE("locks of every kind") {
  Model model = make_model("a", "b", "c");
  for (auto kind : {pb::LOCK_POSIX, pb::LOCK_OPEN_FILE, pb::LOCK_FLOCK, pb::LOCK_LEASE})
    add_lock(model, kind);
  auto result = validate(model);
  CHECK_MESSAGE(result.has_value(), result.error().message());
}

TEST_CASE("page runs may cross from a mapping into the next one") {
  Model model = make_model("a", "b", "c");
  run(model, 0).set_start(0x401000);
  run(model, 0).set_count(3);
  CHECK(validate(model).has_value());
}
