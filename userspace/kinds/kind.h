// SPDX-License-Identifier: Apache-2.0
// What every kind of open file brings: one row of functions. The registry (kinds/registry.cc) lists the rows.
//
// A kind is one stem: bpf/kinds/eventfd.h (what BPF records), images/kinds/eventfd.proto (what the image
// keeps), userspace/kinds/eventfd.cc (the functions), tests/cr/eventfd.cc. Adding one touches no other file
// but the registries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "model/model.h"

struct file_record;  // bpf/records.h
struct record_head;

namespace bpfckpt {

struct DumpPolicy;  // what the user allows: shell-job, file locks, externals, ... (kinds/policy.h)
class PlanBuilder;  // plan/builder.h

namespace kinds {

enum class Verdict { Ok, NeedsOption, Unsupported };

// One thing that diagnose and dump have to say about a file. `code` is stable ("io_uring", "tty-outside",
// ...).
struct Finding {
  Verdict verdict = Verdict::Ok;
  std::string code;
  std::string reason;
  std::string hint;  // the option that helps, or empty
};

// What enrich() may use: the target is frozen; descriptors are borrowed, never moved.
class EnrichContext {
 public:
  virtual ~EnrichContext() = default;
  // A duplicate, in our table, of the description that the target holds (pidfd_getfd(2)); position and flags
  // are shared with the target's, so nothing may be changed through it. Only the file's id matters.
  virtual Result<Fd> borrow(const pb::File& file) = 0;
  // The image file for the bytes of objects, and its name; the caller writes behind what is there.
  virtual Result<int> content_image(std::string& name) = 0;
  // Puts a few bytes there, and says in `content` where they are. They are gathered, and written with others.
  virtual Result<void> add_content(std::span<const char> bytes, pb::Content& content) = 0;
  // Gives the file behind `fd` a name of its own, in the directory of `path` or as near as it gets; gone
  // again if the dump fails.
  virtual Result<std::string> link_again(int fd, const std::string& path) = 0;
  // A pipe of ours that can hold as many bytes: non-blocking, empty, and to be left empty, as it is the same
  // for all.
  struct Pipe {
    int read_fd, write_fd;
  };
  virtual Result<Pipe> scratch_pipe(std::uint32_t capacity_bytes) = 0;
};

// How a file hangs together with others, by their ids.
struct Ties {
  std::vector<std::uint32_t> with;     // are made in the same round: the other end of a connection
  std::vector<std::uint32_t> carried;  // are in flight in it (SCM_RIGHTS), whoever has them besides
};

// Ids of files by their struct file, as BPF saw it; 0: no process of the tree has it.
using FileIds = std::function<std::uint32_t(std::uint64_t file)>;

// Where a description is, when all processes have their descriptors.
class Installed {
 public:
  struct Place {
    std::uint32_t pid = 0;
    std::uint32_t fd = 0;
  };
  virtual ~Installed() = default;
  // One place for each descriptor table that has the file, at its lowest number; empty: nobody has it.
  virtual std::span<const Place> places(std::uint32_t file_id) const = 0;
  struct Occupant {
    std::uint32_t file_id = 0;  // 0: the number is free
    bool close_on_exec = false;
  };
  virtual Occupant at(std::uint32_t pid, std::uint32_t fd) const = 0;
};

struct Kind {
  std::string_view name;  // the stem
  // For people, in docs/kinds.md (kinds/table.h): what comes back, what does not, and what dump refuses and
  // the option that allows it. One line each, no "|"; only `refused` may be empty.
  std::string_view kept = {};
  std::string_view not_kept = {};
  std::string_view refused = {};
  // Fills file.detail, and the object's detail where the description has an object (`object` is null for the
  // second and later descriptions of one object). The common part of `file` is already filled.
  Result<void> (*describe)(const file_record& record, pb::File& file, pb::FileObject* object) = nullptr;
  // Takes the bytes that BPF cannot see. Called once for each description that is first of its object, with
  // the tree frozen. Null: nothing to take.
  Result<void> (*enrich)(EnrichContext& context, pb::File& file, pb::FileObject* object) = nullptr;
  // Adds to the plan what makes the object, and leaves a descriptor by which it can be opened again as
  // PlanBuilder's object(object.id()). Called once for each object (kinds/objects.h: plan_object()). Null:
  // the kind has no objects.
  Result<void> (*make)(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) = nullptr;
  // For what only a process of the tree itself can make: adds to the plan that it makes the description, and
  // leaves it as PlanBuilder's made_inside(file.id()); plan() then finds it there as a descriptor of
  // bpfckpt's, and the process has it no more. Null: bpfckpt makes it.
  Result<void> (*make_inside)(PlanBuilder& plan, const pb::File& file) = nullptr;
  // Adds to the plan what makes the description again and leaves it as PlanBuilder's file(file.id()).
  Result<void> (*plan)(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) = nullptr;
  // Says whether it can be taken; stops nothing, reads nothing but the model. Null: always Ok.
  Finding (*diagnose)(const pb::File& file, const pb::FileObject* object, const DumpPolicy& policy) = nullptr;
  // Adds to the plan what can be done to an object only when all its descriptions and mappings are made.
  // Null: nothing.
  Result<void> (*finish)(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) = nullptr;
  // Completes the details when every file of the tree is described: what only shows by who else has it.
  // Called once if there is a file of the kind. Null: nothing.
  Result<void> (*settle)(Model& model) = nullptr;
  // Is there an object behind the description that has to travel, and in which two descriptions of it meet
  // again? Asked of what BPF saw, before describe(); of what was opened with O_PATH only where the kind is
  // "regular". Null: no.
  bool (*has_object)(const file_record& record) = nullptr;
  // Fills into file.detail what its list (file_record.walk) holds: the items in the kernel's order. Called
  // when every file of the tree is described. Null: the kind has no lists.
  Result<void> (*add_items)(std::span<const record_head* const> items, const FileIds& ids,
                            pb::File& file) = nullptr;
  // Adds to the plan what ties the description to other files, when every process has its descriptors.
  // Null: nothing.
  Result<void> (*connect)(PlanBuilder& plan, const pb::File& file, const Installed& installed) = nullptr;
  // Adds to the plan the mappings of the kind's files that only the processes themselves can make, when all
  // that connect() planned is done. Called once, where the tree has such files. Null: memory's plan makes
  // them.
  Result<void> (*map_all)(PlanBuilder& plan, const Installed& installed) = nullptr;
  // Adds the file's ties. Null: it has none.
  Result<void> (*ties)(const pb::File& file, Ties& ties) = nullptr;
  // For what is made together: adds to the plan what makes all these descriptions, which are those of the
  // kind in one round, and leaves each as PlanBuilder's file(). Those that the caller gave are there already,
  // and so is every other file of the round. Null: plan() makes each.
  Result<void> (*make_group)(PlanBuilder& plan, std::span<const pb::File* const> files) = nullptr;
  // Do the record and the items of its list say all that there is to say about the file? Then it is described
  // when the tree goes on again (collect/late_details.h), and settled and judged with the others of its kind.
  // Null: its files never wait, and are settled and judged with the tree frozen.
  bool (*can_wait)(const file_record& record, std::span<const record_head* const> items) = nullptr;
  // Can a mapping of it be made again?
  bool mappable = false;
};

// The row of that stem, or null.
const Kind* find(std::string_view name);
// The row for the number that BPF recognised (bpf/records.h, enum file_kind); never null: unknown numbers
// give the row of kind "unsupported".
const Kind& by_number(std::uint32_t number);
std::span<const Kind* const> all();

}  // namespace kinds
}  // namespace bpfckpt
