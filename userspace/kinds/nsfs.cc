// SPDX-License-Identifier: Apache-2.0
// Namespaces that are held open, by way of /proc/PID/ns or of a place where that is mounted.
//
// A restored tree lives in the namespaces of bpfckpt, as it lived in its own before: a descriptor of one that
// the tree lived in becomes one of bpfckpt's own. What was opened by a name elsewhere (/run/netns/NAME) is
// opened by it again. Any other namespace lives on in somebody else, or in the descriptor alone, and is
// refused.
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <algorithm>

#include "bpf/records.h"
#include "images/kinds/nsfs.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {

extern const Kind kNsfs;

namespace {

constexpr std::uint32_t kNewTime = 0x80;  // linux/sched.h: CLONE_NEWTIME

struct Type {
  std::string_view name;
  std::uint32_t (pb::Namespaces::*of)() const;
  std::uint32_t clone_flag;
};

constexpr Type kTypes[] = {
    {"cgroup", &pb::Namespaces::cgroup, CLONE_NEWCGROUP}, {"ipc", &pb::Namespaces::ipc, CLONE_NEWIPC},
    {"mnt", &pb::Namespaces::mount, CLONE_NEWNS},         {"net", &pb::Namespaces::net, CLONE_NEWNET},
    {"pid", &pb::Namespaces::pid, CLONE_NEWPID},          {"time", &pb::Namespaces::time, kNewTime},
    {"user", &pb::Namespaces::user, CLONE_NEWUSER},       {"uts", &pb::Namespaces::uts, CLONE_NEWUTS},
};

const Type* find_type(std::string_view name) {
  auto it = std::ranges::find(kTypes, name, &Type::name);
  return it == std::end(kTypes) ? nullptr : it;
}

// Not "net:[4026531840]", and not where a mount was that is gone ("/").
bool has_name(const pb::File& file) {
  const std::string& path = file.path().path();
  return path.size() > 1 && path.front() == '/';
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const nsfs_record& nsfs = record.detail.nsfs;
  pb::NamespaceFile ns;
  ns.set_type(std::string(nsfs.type, ::strnlen(nsfs.type, sizeof nsfs.type)));
  file.mutable_detail()->PackFrom(ns);
  return {};
}

// All processes live in the namespaces of the root, or are refused.
const pb::Namespaces* own_namespaces(const Model& model) {
  std::uint32_t id = model.tasks.processes(0).namespaces_id();
  auto it = std::ranges::find(model.tasks.namespaces(), id, &pb::Namespaces::id);
  return it == model.tasks.namespaces().end() ? nullptr : &*it;
}

Result<void> settle(Model& model) {
  const pb::Namespaces* own = own_namespaces(model);
  for (pb::File& file : *model.files.mutable_files()) {
    if (file.kind() != kNsfs.name) continue;
    TRY_ASSIGN(pb::NamespaceFile ns, unpack<pb::NamespaceFile>(file.detail(), "namespace"));
    const Type* type = find_type(ns.type());
    ns.set_outside(type == nullptr ||
                   (!has_name(file) && (own == nullptr || (own->*type->of)() != file.inode().number())));
    file.mutable_detail()->PackFrom(ns);
  }
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::NamespaceFile ns, unpack<pb::NamespaceFile>(file.detail(), "namespace"));
  const Type* type = find_type(ns.type());
  if (type == nullptr || ns.outside()) return fail(Error::bad_image("namespace: not one of the tree's own"));
  std::uint32_t flags = (file.flags() & ~std::uint32_t{O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY}) | O_CLOEXEC;
  std::string path = file.path().path();
  if (!has_name(file)) {
    path = fmt::format("/proc/self/ns/{}", type->name);
    flags &= ~std::uint32_t{O_NOFOLLOW};
  }
  OpId fd = plan.call(kSelf, SYS_openat, {AT_FDCWD, Operand::data(plan.text(path)), flags}, "namespace");
  // What is mounted by that name may have gone, and left a file that is none.
  if (!(flags & O_PATH))
    plan.call_expecting(kSelf, type->clone_flag, SYS_ioctl, {Operand::result(fd), NS_GET_NSTYPE},
                        "type of namespace");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto ns = unpack<pb::NamespaceFile>(file.detail(), "namespace");
  if (ns && ns->outside())
    return {
        Verdict::Unsupported, "namespace-outside",
        fmt::format("a {} namespace ({}) that the tree does not live in", ns->type(), file.inode().number()),
        ""};
  return {};
}

}  // namespace

extern const Kind kNsfs = {
    .name = "nsfs",
    .kept = "a namespace that the tree lives in; one that has a name",
    .not_kept = "the inode number",
    .refused = "a namespace that is neither",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
    .settle = settle,
};

}  // namespace bpfckpt::kinds
