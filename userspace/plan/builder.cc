// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include "plan/builder.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace bpfckpt {

void PlanBuilder::phase(std::string name, bool ordered) {
  OpId next = static_cast<OpId>(plan_.ops.size());
  if (!plan_.phases.empty()) {
    plan_.phases.back().end = next;
    if (plan_.phases.back().first == next) plan_.phases.pop_back();  // nothing was to be done in it
  }
  plan_.phases.push_back({std::move(name), ordered, next, next});
}

DataId PlanBuilder::data(std::span<const std::byte> bytes) {
  plan_.data.push_back({{bytes.begin(), bytes.end()}, {}});
  return static_cast<DataId>(plan_.data.size() - 1);
}

DataId PlanBuilder::text(std::string_view text) {
  DataId id = data(std::as_bytes(std::span(text)));
  plan_.data[id].bytes.push_back(std::byte{0});
  return id;
}

DataId PlanBuilder::zeroes(std::size_t len_bytes) {
  plan_.data.push_back({std::vector<std::byte>(len_bytes), {}});
  return static_cast<DataId>(plan_.data.size() - 1);
}

DataId PlanBuilder::scratch(std::size_t len_bytes) {
  if (scratch_ == UINT32_MAX) scratch_ = zeroes(len_bytes);
  std::vector<std::byte>& bytes = plan_.data[scratch_].bytes;
  if (bytes.size() < len_bytes) bytes.resize(len_bytes);
  return scratch_;
}

void PlanBuilder::fix(DataId block, std::size_t offset, std::size_t width, Operand operand) {
  plan_.data[block].fixups.push_back(
      {static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(width), operand});
}

OpId PlanBuilder::add(Op op, std::initializer_list<Operand> args) {
  std::copy(args.begin(), args.end(), op.args.begin());
  op.arg_count = static_cast<std::uint8_t>(args.size());
  op.subject = subject_;
  plan_.ops.push_back(op);
  return static_cast<OpId>(plan_.ops.size() - 1);
}

OpId PlanBuilder::call(Actor actor, long number, std::initializer_list<Operand> args, const char* note) {
  return add({.number = static_cast<std::int32_t>(number), .actor = actor, .note = note}, args);
}

OpId PlanBuilder::try_call(Actor actor, long number, std::initializer_list<Operand> args, const char* note) {
  return add({.may_fail = true, .number = static_cast<std::int32_t>(number), .actor = actor, .note = note},
             args);
}

OpId PlanBuilder::call_expecting(Actor actor, std::uint64_t expect, long number,
                                 std::initializer_list<Operand> args, const char* note) {
  return add({.number = static_cast<std::int32_t>(number), .actor = actor, .note = note, .expect = expect},
             args);
}

OpId PlanBuilder::op(Op::Code code, Actor actor, std::initializer_list<Operand> args, const char* note) {
  return add({.code = code, .actor = actor, .note = note}, args);
}

void PlanBuilder::undo_call(OpId made, long number, std::initializer_list<Operand> args) {
  Op op{.may_fail = true,
        .arg_count = static_cast<std::uint8_t>(args.size()),
        .number = static_cast<std::int32_t>(number)};
  std::copy(args.begin(), args.end(), op.args.begin());
  plan_.undo.push_back({made, op});
}

OpId PlanBuilder::add_to_word(Actor actor, Operand address, Operand value, std::uint64_t expect,
                              const char* note) {
  return add({.code = Op::Code::Add, .actor = actor, .note = note, .expect = expect}, {address, value});
}

void PlanBuilder::repeat(Actor actor, std::size_t operations, std::uint64_t times, const char* note) {
  op(Op::Code::Repeat, actor, {operations, times}, note);
}

DataId PlanBuilder::free_arena() {
  if (!plan_.free_arena) plan_.free_arena = zeroes(2 * sizeof(std::uint64_t));
  return *plan_.free_arena;
}

OpId PlanBuilder::open_image(const std::string& name) {
  if (auto it = images_.find(name); it != images_.end()) return it->second;
  DataId block = text(name);
  OpId id = op(Op::Code::OpenImage, kSelf, {Operand::data(block)});
  images_.emplace(name, id);
  return id;
}

OpId PlanBuilder::reopen(Operand fd, std::uint32_t flags, const char* note) {
  // These say how the name was looked up; through /proc/self/fd they would mean that link, or a new file.
  flags &= ~static_cast<std::uint32_t>(O_NOFOLLOW);
  if ((flags & O_TMPFILE) == O_TMPFILE) flags &= ~static_cast<std::uint32_t>(O_TMPFILE);
  return op(Op::Code::Reopen, kSelf, {fd, flags}, note);
}

void PlanBuilder::fill(Operand fd, const pb::Content& content) {
  call(kSelf, SYS_ftruncate, {fd, content.size()});
  if (content.extents().empty()) return;
  OpId image = open_image(content.image());
  // sendfile(2) moves at most 0x7ffff000 bytes a call.
  constexpr std::uint64_t kMostAtOnce = 1u << 30;
  for (const pb::Extent& extent : content.extents()) {
    call(kSelf, SYS_lseek, {fd, extent.offset(), SEEK_SET});
    for (std::uint64_t done = 0; done < extent.length(); done += kMostAtOnce) {
      std::uint64_t len = std::min(kMostAtOnce, extent.length() - done);
      DataId offset = bytes_of(std::uint64_t{extent.image_offset() + done});
      call_expecting(kSelf, len, SYS_sendfile, {fd, Operand::result(image), Operand::data(offset), len});
    }
  }
}

std::string PlanBuilder::place(const std::string& path) const {
  // The innermost directory that was moved: what is moved inside of it names its own new place in full.
  for (std::size_t end = path.size(); end != std::string::npos && end > 0; end = path.rfind('/', end - 1))
    if (auto it = moved_places_.find(path.substr(0, end)); it != moved_places_.end())
      return it->second + path.substr(end);
  return path;
}

void PlanBuilder::close_all(std::vector<std::pair<std::uint32_t, Operand>> fds) {
  std::stable_sort(fds.begin(), fds.end(), [](auto& a, auto& b) { return a.first < b.first; });
  // A description may be its object's descriptor as well: each is closed once.
  std::set<std::tuple<Operand::Type, std::uint32_t, std::uint64_t>> closed;
  for (auto& [id, fd] : fds)
    if (closed.emplace(fd.type, fd.index, fd.value).second) call(kSelf, SYS_close, {fd});
}

void PlanBuilder::release_files() {
  about(0);
  std::vector<std::pair<std::uint32_t, Operand>> fds(files_.begin(), files_.end());
  for (auto it = objects_.begin(); it != objects_.end();) {
    if (kept_objects_.contains(it->first)) {
      ++it;
      continue;
    }
    fds.push_back(*it);
    it = objects_.erase(it);
  }
  for (const Operand& fd : close_later_) fds.emplace_back(UINT32_MAX, fd);
  fds.insert(fds.end(), object_ends_.begin(), object_ends_.end());
  files_.clear();
  object_ends_.clear();
  close_later_.clear();
  close_all(std::move(fds));
}

void PlanBuilder::release_mapped() {
  kept_objects_.clear();
  std::vector<std::pair<std::uint32_t, Operand>> fds(mapped_.begin(), mapped_.end());
  for (auto& [name, image] : images_) fds.emplace_back(image, Operand::result(image));
  mapped_.clear();
  images_.clear();
  // Kept objects may be mapped under their own descriptor: one closing for both.
  for (auto& object : objects_) fds.push_back(object);
  objects_.clear();
  close_all(std::move(fds));
}

Plan PlanBuilder::finish() {
  phase("end");
  plan_.phases.pop_back();
  return std::move(plan_);
}

}  // namespace bpfckpt
