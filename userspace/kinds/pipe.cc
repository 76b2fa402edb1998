// SPDX-License-Identifier: Apache-2.0
// Pipes and FIFOs.
//
// A pipe is an inode with a ring of pages; its ends are descriptions of that inode, each for reading, writing
// or both. Kept: unread bytes, packet boundaries (O_DIRECT), capacity, which ends are open and how they
// share. Not kept: how the bytes are spread over the ring's slots, the inode number of an anonymous pipe.
// Ends outside of the tree stay behind: unless the caller gives the pipe by --inherit-fd, the tree gets one
// of its own.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "bpf/records.h"
#include "images/kinds/pipe.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"
#include "kinds/outside.h"

namespace bpfckpt::kinds {

extern const Kind kPipe;

namespace {

constexpr std::uint64_t kPipefsMagic = 0x50495045;
constexpr std::uint32_t kPageBytes = 4096;
constexpr std::uint32_t kLargeFile = 0100000;  // O_LARGEFILE, which glibc defines as 0

bool is_fifo(const pb::File& file) {
  return file.inode().fs_magic() != kPipefsMagic;
}

bool has_object(const file_record&) {
  return true;
}

Result<void> describe(const file_record& record, pb::File&, pb::FileObject* object) {
  if (object == nullptr) return {};
  pb::Pipe pipe;
  pipe.set_capacity_bytes(record.detail.pipe.ring_slots * kPageBytes);
  pipe.set_unread_bytes(record.detail.pipe.fill_bytes);
  // All ends there are; settle() takes off those of the tree.
  pipe.set_outside_readers(record.detail.pipe.readers);
  pipe.set_outside_writers(record.detail.pipe.writers);
  pipe.set_has_packets(record.detail.pipe.packet_slots != 0);
  pipe.set_mixed(pipe.has_packets() && record.detail.pipe.packet_slots != record.detail.pipe.used_slots);
  pipe.set_notifications(record.detail.pipe.notifications != 0);
  pack(pipe, *object->mutable_detail());
  return {};
}

// A FIFO is found again by its name, and so are those who have it open.
Result<void> settle(Model& model) {
  struct Ends {
    std::uint32_t readers = 0, writers = 0;
    bool named = false;
  };
  std::vector<Ends> own(static_cast<std::size_t>(model.files.objects_size()) + 1);  // by object
  for (const pb::File& file : model.files.files()) {
    if (file.kind() != kPipe.name || (file.flags() & O_PATH)) continue;
    Ends& ends = own.at(file.object_id());
    std::uint32_t access = file.flags() & O_ACCMODE;
    if (access != O_WRONLY) ends.readers++;
    if (access != O_RDONLY) ends.writers++;
    ends.named = is_fifo(file) && !file.path().deleted();
  }
  for (pb::FileObject& object : *model.files.mutable_objects()) {
    if (object.kind() != kPipe.name) continue;
    TRY_ASSIGN(pb::Pipe pipe, unpack<pb::Pipe>(object.detail(), "pipe"));
    const Ends& ends = own.at(object.id());
    // Of a running tree, ends may come and go while we look.
    auto outside = [&](std::uint32_t all, std::uint32_t of_tree) {
      return ends.named || all < of_tree ? 0 : all - of_tree;
    };
    pipe.set_outside_readers(outside(pipe.outside_readers(), ends.readers));
    pipe.set_outside_writers(outside(pipe.outside_writers(), ends.writers));
    pack(pipe, *object.mutable_detail());
  }
  return {};
}

// A description that can be read from. The end that we got may be one for writing only; the inode can be
// opened for reading all the same.
Result<Fd> reader_of(EnrichContext& context, const pb::File& file) {
  TRY_ASSIGN(Fd end, context.borrow(file));
  if ((file.flags() & (O_ACCMODE | O_PATH)) == O_RDONLY || (file.flags() & (O_ACCMODE | O_PATH)) == O_RDWR)
    return end;
  Fd reader(::open(fmt::format("/proc/self/fd/{}", end.get()).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!reader) return fail(Error::system("open for reading"));
  return reader;
}

// The bytes stay where they are: they are duplicated with tee(2) into a pipe of ours, and read from there.
Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject* object) {
  if (object == nullptr) return {};
  TRY_ASSIGN(pb::Pipe pipe, unpack<pb::Pipe>(object->detail(), "pipe"));
  if (pipe.unread_bytes() == 0) return {};
  TRY_ASSIGN(Fd reader, reader_of(context, file));
  // Not more slots than the pipe itself has are needed; an unprivileged limit may refuse even these.
  TRY_ASSIGN(EnrichContext::Pipe copy, context.scratch_pipe(pipe.capacity_bytes()));
  ssize_t copied = ::tee(reader.get(), copy.write_fd, pipe.capacity_bytes(), SPLICE_F_NONBLOCK);
  if (copied < 0 && errno != EAGAIN) return fail(Error::system("tee"));
  // Somebody outside may have read or written since they were counted.
  const bool alone = pipe.outside_readers() + pipe.outside_writers() == 0 && !is_fifo(file);
  std::string data(static_cast<std::size_t>(std::max<ssize_t>(copied, 0)), 0);
  // tee() keeps the slots' packet flags (fs/splice.c:link_pipe()), so that one read() takes one packet.
  // Without packets the first one takes all.
  std::vector<std::uint32_t> taken;
  for (std::size_t have = 0; have < data.size();) {
    ssize_t n = ::read(copy.read_fd, data.data() + have, data.size() - have);
    if (n <= 0) return fail(Error::system("read of the copy", n < 0 ? errno : EIO));
    taken.push_back(static_cast<std::uint32_t>(n));
    have += static_cast<std::size_t>(n);
  }
  if (alone && data.size() != pipe.unread_bytes())
    return fail(
        Error::system(fmt::format("tee: {} bytes instead of {}", data.size(), pipe.unread_bytes()), EIO));
  if (pipe.has_packets()) pipe.mutable_packets()->Add(taken.begin(), taken.end());
  pipe.set_unread_bytes(data.size());
  pipe.set_data(std::move(data));
  pack(pipe, *object->mutable_detail());
  return {};
}

Result<void> make(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  TRY_ASSIGN(pb::Pipe pipe, unpack<pb::Pipe>(object.detail(), "pipe"));
  Operand reader, writer;
  if (is_fifo(file)) {
    DataId path = plan.text(file.path().path());
    if (file.path().deleted()) {
      path = plan.text(free_name(plan.environment(), file.path().path()));
      plan.undo_call(
          plan.call(kSelf, SYS_mknod, {Operand::data(path), file.inode().mode(), 0}, "deleted fifo"),
          SYS_unlink, {Operand::data(path)});
    }
    // Open for both, so that no later opening waits for the other side.
    OpId fd = plan.call(kSelf, SYS_openat, {AT_FDCWD, Operand::data(path), O_RDWR | O_NONBLOCK | O_CLOEXEC},
                        "fifo");
    if (file.path().deleted()) {
      plan.call(kSelf, SYS_fchown, {Operand::result(fd), file.inode().uid(), file.inode().gid()});
      plan.call(kSelf, SYS_fchmod, {Operand::result(fd), file.inode().mode() & 07777});
      plan.call(kSelf, SYS_unlink, {Operand::data(path)});
    }
    reader = writer = Operand::result(fd);
  } else {
    DataId ends = plan.zeroes(8);
    plan.call(kSelf, SYS_pipe2, {Operand::data(ends), O_CLOEXEC | O_NONBLOCK}, "pipe");
    reader = Operand::field(ends, 0);
    writer = Operand::field(ends, 4);
    plan.set_object_end(object.id(), writer);
  }
  if (pipe.capacity_bytes() != 0) plan.call(kSelf, SYS_fcntl, {writer, F_SETPIPE_SZ, pipe.capacity_bytes()});
  auto write = [&](std::string_view bytes) {
    plan.call_expecting(kSelf, bytes.size(), SYS_write,
                        {writer, Operand::data(plan.data(std::as_bytes(std::span(bytes)))), bytes.size()},
                        "data");
  };
  std::string_view data = pipe.data();
  if (!pipe.packets().empty()) {
    plan.call(kSelf, SYS_fcntl, {writer, F_SETFL, O_NONBLOCK | O_DIRECT}, "packets");
    for (std::uint32_t len : pipe.packets()) {
      if (len > data.size()) return fail(Error::bad_image("pipe: packets are longer than the data"));
      write(data.substr(0, len));
      data.remove_prefix(len);
    }
    plan.call(kSelf, SYS_fcntl, {writer, F_SETFL, O_NONBLOCK});
  }
  if (!data.empty()) write(data);
  plan.set_object(object.id(), reader);
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  if (object == nullptr) return fail(Error::bad_image("a pipe without its object"));
  TRY_ASSIGN(Operand made, plan_object(plan, file, *object));
  // A descriptor that pipe(2) itself gave lacks O_LARGEFILE, which open(2) always sets in a 64-bit process
  // and nothing takes away: such a description is the pipe's own end.
  // O_ASYNC by an opening is a flag that does nothing and that fcntl(2) cannot take away (fs/fcntl.c:
  // fasync_remove_entry() clears it with the entry); it is switched on when all is made.
  std::uint32_t flags = file.flags() & ~static_cast<std::uint32_t>(O_CREAT | O_EXCL | O_TRUNC | O_ASYNC);
  const Operand* writer = plan.object_end(object->id());
  if (writer != nullptr && !(flags & (kLargeFile | O_PATH)) && (flags & O_ACCMODE) != O_RDWR) {
    Operand end = (flags & O_ACCMODE) == O_WRONLY ? *writer : made;
    plan.call(kSelf, SYS_fcntl, {end, F_SETFL, flags}, "flags of file");
    plan.set_file(file.id(), end);
    return {};
  }
  // Opening one end of a FIFO waits for the other one where it is not there, unless told not to; O_DIRECT is
  // known to fcntl(2) only (fs/open.c:do_dentry_open()).
  bool path_only = (flags & O_PATH) != 0;
  constexpr std::uint32_t kByFcntl = O_DIRECT | O_NONBLOCK;
  OpId fd = plan.reopen(made, path_only ? flags : (flags & ~kByFcntl) | O_NONBLOCK, "file");
  if (!path_only && (flags & kByFcntl) != O_NONBLOCK)
    plan.call(kSelf, SYS_fcntl, {Operand::result(fd), F_SETFL, flags}, "flags of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Finding diagnose(const pb::File&, const pb::FileObject* object, const DumpPolicy&) {
  auto pipe =
      object == nullptr ? pb::Pipe() : unpack<pb::Pipe>(object->detail(), "pipe").value_or(pb::Pipe());
  if (pipe.notifications())
    return {Verdict::Unsupported, "pipe-notifications",
            "it is a pipe of kernel notifications (O_NOTIFICATION_PIPE), whose watches cannot be asked for",
            ""};
  if (pipe.mixed())
    return {
        Verdict::Unsupported, "pipe-mixed",
        "it holds packets (O_DIRECT) and bytes that are none; it can be taken when one or the other is read",
        ""};
  if (std::string outside = object == nullptr ? "" : outside_ends(*object); !outside.empty())
    return {Verdict::Ok, "pipe-outside",
            outside + " outside of the tree; a restored tree has a pipe of its own, unless it is given one",
            "--inherit-fd"};
  return {};
}

}  // namespace

std::string outside_ends(const pb::FileObject& object) {
  auto pipe = unpack<pb::Pipe>(object.detail(), "pipe");
  if (object.kind() != kPipe.name || !pipe || pipe->outside_readers() + pipe->outside_writers() == 0)
    return "";
  auto counted = [](std::uint32_t n, const char* what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  std::string text;
  if (pipe->outside_readers() != 0) text = counted(pipe->outside_readers(), "reader");
  if (pipe->outside_writers() != 0)
    text += (text.empty() ? "" : " and ") + counted(pipe->outside_writers(), "writer");
  return text;
}

extern const Kind kPipe = {
    .name = "pipe",
    .kept =
        "unread bytes, packet boundaries, capacity, which ends are open and who shares them; FIFOs by name, "
        "or made again if deleted",
    .not_kept =
        "how the bytes are spread over the ring; the inode number; ends outside "
        "of the tree, unless `--inherit-fd` gives the pipe",
    .refused = "packets mixed with bytes that are none; pipes of notifications (`O_NOTIFICATION_PIPE`)",
    .describe = describe,
    .enrich = enrich,
    .make = make,
    .plan = plan,
    .diagnose = diagnose,
    .settle = settle,
    .has_object = has_object,
};

}  // namespace bpfckpt::kinds
