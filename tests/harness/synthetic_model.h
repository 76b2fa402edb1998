// SPDX-License-Identifier: Apache-2.0
// A small checkpoint that was never a process: a root with two threads, a child that shares pages with it, a
// stopped grandchild and a zombie; every kind of mapping; a pipe, a deleted file, shared memory.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "image/writer.h"
#include "images/kinds/pipe.pb.h"
#include "images/kinds/regular.pb.h"
#include "images/kinds/shmem.pb.h"
#include "model/model.h"

namespace bpfckpt::synthetic {

// A directory that goes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bpfckpt-test-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline pb::Thread& add_thread(pb::Process& process, std::uint32_t tid, const char* comm) {
  auto& thread = *process.add_threads();
  thread.set_tid(tid);
  thread.add_ns_tid(tid);
  thread.set_comm(comm);
  thread.set_registers(std::string(27 * 8, '\x11'));
  thread.set_xstate(std::string(832, '\0'));
  thread.set_credentials_id(1);
  thread.set_blocked(0x200);
  thread.mutable_rseq()->set_address(0x7f0000001000 + tid);
  thread.mutable_rseq()->set_len(32);
  thread.mutable_scheduling()->set_nice(5);
  thread.mutable_scheduling()->set_affinity("\x03");
  return thread;
}

inline pb::Process& add_process(Model& model, std::uint32_t pid, std::uint32_t parent, const char* comm,
                                std::uint32_t mm) {
  auto& process = *model.tasks.add_processes();
  process.set_pid(pid);
  process.add_ns_pid(pid);
  process.set_parent_pid(parent);
  process.set_pgid(100);
  process.set_sid(100);
  process.set_exit_signal(17);
  process.set_mm_id(mm);
  process.set_fd_table_id(mm);
  process.set_fs_id(1);
  process.set_sighand_id(mm);
  process.set_namespaces_id(1);
  add_thread(process, pid, comm);
  return process;
}

inline pb::Vma& add_vma(pb::AddressSpace& mm, std::uint64_t start, std::uint64_t end, pb::VmaKind kind,
                        std::uint64_t flags, std::uint32_t file = 0, const char* name = "") {
  auto& vma = *mm.add_vmas();
  vma.set_start(start);
  vma.set_end(end);
  vma.set_kind(kind);
  vma.set_flags(flags);
  vma.set_file_id(file);
  vma.set_name(name);
  return vma;
}

inline pb::PageRun& add_run(pb::AddressSpace& mm, std::uint64_t start, std::uint32_t count,
                            std::uint64_t index, std::uint32_t owner = 0) {
  auto& run = *mm.add_pages();
  run.set_start(start);
  run.set_count(count);
  run.set_index(index);
  run.set_owner_mm_id(owner);
  return run;
}

inline pb::File& add_file(Model& model, std::uint32_t id, const char* kind, const char* path,
                          std::uint32_t flags, std::uint32_t object = 0) {
  auto& file = *model.files.add_files();
  file.set_id(id);
  file.set_kind(kind);
  file.set_flags(flags);
  file.mutable_path()->set_path(path);
  file.set_object_id(object);
  return file;
}

inline void add_fd(pb::FdTable& table, std::uint32_t fd, std::uint32_t file, bool close_on_exec = false) {
  auto& entry = *table.add_entries();
  entry.set_fd(fd);
  entry.set_file_id(file);
  entry.set_close_on_exec(close_on_exec);
}

// Page images: one of 6 pages for address space 1, one of 2 for address space 2; `contents` holds 3 pages.
inline Model make_model(const std::string& pages_1, const std::string& pages_2, const std::string& contents) {
  Model model;
  auto& root = add_process(model, 100, 0, "worker", 1);
  add_thread(root, 103, "worker/io");
  auto* action = root.add_sigactions();
  action->set_signal(10);
  action->set_handler(0x401000);
  root.add_pending(std::string(128, '\0'));
  auto& child = add_process(model, 101, 100, "helper", 2);
  child.set_state(pb::RUNNING);
  auto& stopped = add_process(model, 104, 101, "stopped", 2);
  stopped.set_state(pb::STOPPED);
  stopped.set_stop_signal(19);
  auto& zombie = *model.tasks.add_processes();
  zombie.set_pid(102);
  zombie.set_parent_pid(100);
  zombie.set_state(pb::ZOMBIE);
  zombie.set_exit_code(0x300);
  zombie.set_exit_signal(17);
  zombie.add_threads()->set_tid(102);
  zombie.mutable_threads(0)->set_comm("gone");
  zombie.mutable_threads(0)->set_credentials_id(1);

  auto* fs = model.tasks.add_fs_contexts();
  fs->set_id(1);
  fs->mutable_cwd()->set_path("/srv/data");
  fs->mutable_root()->set_path("/");
  fs->set_umask(022);
  model.tasks.add_namespaces()->set_id(1);
  model.tasks.add_credentials()->set_id(1);

  constexpr std::uint64_t kR = 1, kW = 2, kX = 4, kS = 8;
  auto& mm = *model.memory.add_address_spaces();
  mm.set_id(1);
  mm.add_page_images(pages_1);
  mm.set_exe_file_id(1);
  mm.set_start_brk(0x500000);
  mm.set_brk(0x508000);
  add_vma(mm, 0x400000, 0x402000, pb::FILE_PRIVATE, kR | kX, 1);
  add_vma(mm, 0x402000, 0x404000, pb::FILE_PRIVATE, kR | kW, 1).set_file_offset(0x2000);
  add_vma(mm, 0x500000, 0x508000, pb::ANONYMOUS_PRIVATE, kR | kW);
  add_vma(mm, 0x7f0000000000, 0x7f0000004000, pb::ANONYMOUS_SHARED, kR | kW | kS, 6);
  add_vma(mm, 0x7ffd00000000, 0x7ffd00021000, pb::ANONYMOUS_PRIVATE, kR | kW).set_growsdown(true);
  add_vma(mm, 0x7ffd00100000, 0x7ffd00102000, pb::SPECIAL, kR | kX, 0, "[vdso]");
  add_run(mm, 0x403000, 1, 0);
  add_run(mm, 0x500000, 4, 1);
  add_run(mm, 0x7ffd00020000, 1, 5);
  auto& kin = *model.memory.add_address_spaces();
  kin.set_id(2);
  kin.add_page_images(pages_2);
  kin.set_exe_file_id(1);
  add_vma(kin, 0x400000, 0x402000, pb::FILE_PRIVATE, kR | kX, 1);
  add_vma(kin, 0x500000, 0x508000, pb::ANONYMOUS_PRIVATE, kR | kW);
  add_vma(kin, 0x7f0000000000, 0x7f0000004000, pb::ANONYMOUS_SHARED, kR | kW | kS, 6);
  add_run(kin, 0x500000, 2, 1, 1);
  add_run(kin, 0x502000, 1, 0);
  add_run(kin, 0x503000, 1, 4, 1);
  add_run(kin, 0x504000, 1, 1);

  add_file(model, 1, "regular", "/usr/bin/worker", 0100000);
  add_file(model, 2, "regular", "/srv/data/log.txt", 0102001).set_position(4711);
  add_file(model, 3, "pipe", "pipe:[5]", 0, 1);
  add_file(model, 4, "pipe", "pipe:[5]", 1, 1);
  auto& ghost = add_file(model, 5, "regular", "/tmp/scratch", 0100002, 2);
  ghost.mutable_path()->set_deleted(true);
  add_file(model, 6, "shmem", "/dev/zero", 0100002, 3);
  auto* pipe = model.files.add_objects();
  pipe->set_id(1);
  pipe->set_kind("pipe");
  pb::Pipe pipe_detail;
  pipe_detail.set_capacity_bytes(65536);
  pipe_detail.set_data("unread");
  pipe->mutable_detail()->PackFrom(pipe_detail);
  auto content = [&](std::uint64_t pages, std::uint64_t first_page) {
    pb::Content out;
    out.set_image(contents);
    out.set_size(pages * 4096);
    auto* extent = out.add_extents();
    extent->set_offset((pages - 1) * 4096);
    extent->set_length(4096);
    extent->set_image_offset(first_page * 4096);
    return out;
  };
  auto* scratch = model.files.add_objects();
  scratch->set_id(2);
  scratch->set_kind("regular");
  pb::GhostFile ghost_detail;
  *ghost_detail.mutable_content() = content(2, 0);
  ghost_detail.set_mode(0100644);
  scratch->mutable_detail()->PackFrom(ghost_detail);
  auto* shared = model.files.add_objects();
  shared->set_id(3);
  shared->set_kind("shmem");
  pb::SharedMemory shared_detail;
  *shared_detail.mutable_content() = content(4, 2);
  shared->mutable_detail()->PackFrom(shared_detail);

  for (std::uint32_t id : {1u, 2u}) {
    auto& table = *model.files.add_tables();
    table.set_id(id);
    add_fd(table, 0, 2);
    add_fd(table, 1, 2);
    add_fd(table, id + 4, id + 2, true);
    if (id == 1) add_fd(table, 20, 5);
  }
  return model;
}

// The page of `seed` everywhere.
inline std::string page_of(char seed) {
  return std::string(4096, seed);
}

// Writes the raw files and gives the model that refers to them.
inline Model write_raw(image::ImageWriter& writer) {
  auto pages_1 = writer.create_raw("pages-1");
  auto pages_2 = writer.create_raw("pages-2");
  auto contents = writer.create_raw("contents");
  REQUIRE(pages_1.has_value());
  REQUIRE(pages_2.has_value());
  REQUIRE(contents.has_value());
  auto write = [](int fd, std::string_view seeds) {
    for (char seed : seeds) {
      std::string page = page_of(seed);
      REQUIRE(::write(fd, page.data(), page.size()) == static_cast<ssize_t>(page.size()));
    }
  };
  write(pages_1->fd, "abcdef");
  write(pages_2->fd, "uv");
  write(contents->fd, "xyz");
  return make_model(pages_1->name, pages_2->name, contents->name);
}

// A complete checkpoint of the synthetic model.
inline void write_checkpoint(const std::string& directory) {
  auto writer = image::ImageWriter::open(directory);
  REQUIRE_MESSAGE(writer.has_value(), writer.error().message());
  Model model = write_raw(*writer);
  pb::Manifest manifest;
  manifest.mutable_stats()->set_frozen_us(2200);
  auto done = writer->finish(model, manifest);
  REQUIRE_MESSAGE(done.has_value(), done.error().message());
}

}  // namespace bpfckpt::synthetic
