// SPDX-License-Identifier: Apache-2.0
// POSIX message queues.
//
// A queue that has a name is opened by it again: its messages are no more ours than the bytes of a file. One
// that was empty is made if it is not there. A queue that lost its name exists through its openers only: it
// is made under its old name, loses it again, and gets its messages, which BPF reads where they are: to take
// them out and put them back is not to be thought of, as whoever does that may be killed. Not kept: whether
// it was opened with O_LARGEFILE. A process that waits by mq_notify(3) for the next message is refused, as
// are messages that are too long to be read (MQUEUE_MOST_DATA).
#include <fcntl.h>
#include <sys/syscall.h>

#include <map>

#include "bpf/records.h"
#include "images/kinds/mqueue.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {

extern const Kind kMqueue;

namespace {

constexpr std::uint32_t kPriorities = 32768;      // include/uapi/linux/mqueue.h: MQ_PRIO_MAX
constexpr std::uint32_t kMountInternal = 0x4000;  // include/linux/mount.h: MNT_INTERNAL

// struct mq_attr of linux/mqueue.h
struct Attributes {
  std::int64_t flags, max_messages, message_bytes, messages, reserved[4];
};

bool has_object(const file_record& record) {
  return (record.path.flags & PATH_UNLINKED) != 0;
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject* object) {
  const mqueue_record& queue = record.detail.mqueue;
  pb::MessageQueue message;
  message.set_max_messages(queue.max_messages);
  message.set_message_bytes(queue.message_bytes);
  message.set_messages(queue.messages);
  message.set_by_path((record.path.mount_flags & kMountInternal) == 0);
  message.set_notified_pid(queue.notified != 0 ? queue.notified_tgid : 0);
  file.mutable_detail()->PackFrom(message);
  if (object != nullptr) object->mutable_detail()->PackFrom(message);
  return {};
}

// With the first description; settle() gives them to the object.
Result<void> add_items(std::span<const record_head* const> items, const FileIds&, pb::File& file) {
  if (items.empty()) return {};
  TRY_ASSIGN(pb::MessageQueue queue, unpack<pb::MessageQueue>(file.detail(), "message queue"));
  for (const record_head* head : items) {
    const auto& message = *reinterpret_cast<const mqueue_message_record*>(head);
    if (head->length < sizeof message || message.data_bytes > head->length - sizeof message)
      return fail(Error::bug("message queue: a damaged record"));
    if (message.data_bytes != message.length) continue;  // diagnose() finds one missing
    pb::QueuedMessage& queued = *queue.add_queued();
    queued.set_priority(message.priority);
    queued.set_data(reinterpret_cast<const char*>(&message + 1), message.data_bytes);
  }
  file.mutable_detail()->PackFrom(queue);
  return {};
}

Result<void> give_to_objects(Model& model) {
  std::map<std::uint32_t, pb::File*> files;  // by object
  for (pb::File& file : *model.files.mutable_files())
    if (file.kind() == kMqueue.name && file.object_id() != 0) files.try_emplace(file.object_id(), &file);
  for (pb::FileObject& object : *model.files.mutable_objects()) {
    auto it = files.find(object.id());
    if (it == files.end()) continue;
    TRY_ASSIGN(pb::MessageQueue first, unpack<pb::MessageQueue>(it->second->detail(), "message queue"));
    if (first.queued().empty()) continue;
    TRY_ASSIGN(pb::MessageQueue queue, unpack<pb::MessageQueue>(object.detail(), "message queue"));
    queue.mutable_queued()->Swap(first.mutable_queued());
    object.mutable_detail()->PackFrom(queue);
    it->second->mutable_detail()->PackFrom(first);
  }
  return {};
}

// Somebody outside goes on waiting.
Result<void> settle(Model& model) {
  TRY(give_to_objects(model));
  for (pb::File& file : *model.files.mutable_files()) {
    if (file.kind() != kMqueue.name) continue;
    TRY_ASSIGN(pb::MessageQueue queue, unpack<pb::MessageQueue>(file.detail(), "message queue"));
    bool ours = false;
    for (const pb::Process& process : model.tasks.processes()) ours |= process.pid() == queue.notified_pid();
    if (ours) continue;
    queue.set_notified_pid(0);
    file.mutable_detail()->PackFrom(queue);
  }
  return {};
}

// mq_open(2) takes it without the slash.
Result<std::string> name_of(const pb::File& file) {
  const std::string& path = file.path().path();
  std::string name = path.substr(path.rfind('/') + 1);
  if (name.empty()) return fail(Error::bad_image("message queue: no name"));
  return name;
}

// With the owner and mode that it had, whatever bpfckpt's are. The descriptor is close-on-exec in any case,
// and mq_open(2) would keep that flag with the description.
OpId plan_open(PlanBuilder& plan, const pb::File& file, const pb::MessageQueue& queue,
               const std::string& name, Operand path, std::uint32_t flags) {
  bool create = (flags & O_CREAT) != 0;
  Attributes attributes{};
  attributes.max_messages = static_cast<std::int64_t>(queue.max_messages());
  attributes.message_bytes = static_cast<std::int64_t>(queue.message_bytes());
  OpId fd = plan.call(kSelf, SYS_mq_open,
                      {path, flags, file.inode().mode() & 07777,
                       create ? Operand::data(plan.bytes_of(attributes)) : Operand(0)},
                      "message queue");
  if (create) {
    if (!plan.environment().queue_exists(name)) plan.undo_call(fd, SYS_mq_unlink, {path});
    plan.call(kSelf, SYS_fchown, {Operand::result(fd), file.inode().uid(), file.inode().gid()});
    plan.call(kSelf, SYS_fchmod, {Operand::result(fd), file.inode().mode() & 07777});
  }
  return fd;
}

Result<void> check_messages(const pb::MessageQueue& queue) {
  auto bad = [](const char* what) { return fail(Error::bad_image(fmt::format("message queue: {}", what))); };
  if (queue.messages() != static_cast<std::uint64_t>(queue.queued_size()))
    return bad("messages that nobody took");
  if (queue.messages() > queue.max_messages()) return bad("more messages than it has room for");
  for (const pb::QueuedMessage& message : queue.queued())
    if (message.data().size() > queue.message_bytes() || message.priority() >= kPriorities)
      return bad("an impossible message");
  return {};
}

Result<void> make(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  TRY_ASSIGN(pb::MessageQueue queue, unpack<pb::MessageQueue>(object.detail(), "message queue"));
  TRY(check_messages(queue));
  TRY_ASSIGN(std::string name, name_of(file));
  for (int i = 0; plan.environment().queue_exists(name); i++)
    name = fmt::format("{}.bpfckpt-{}", name.substr(0, name.rfind(".bpfckpt-")), i);
  const Operand there = Operand::data(plan.text(name));
  OpId fd = plan_open(plan, file, queue, name, there, O_RDWR | O_CREAT | O_EXCL);
  plan.call(kSelf, SYS_mq_unlink, {there});
  // There is room for each: nothing waits.
  for (const pb::QueuedMessage& message : queue.queued())
    plan.call(kSelf, SYS_mq_timedsend,
              {Operand::result(fd), Operand::data(plan.data(std::as_bytes(std::span(message.data())))),
               message.data().size(), message.priority(), 0},
              "message");
  plan.set_object(object.id(), Operand::result(fd));
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  TRY_ASSIGN(pb::MessageQueue queue, unpack<pb::MessageQueue>(file.detail(), "message queue"));
  std::uint32_t flags = file.flags() & ~std::uint32_t{O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY};
  OpId fd = 0;
  if (object != nullptr) {
    TRY_ASSIGN(Operand made, plan_object(plan, file, *object));
    fd = plan.reopen(made, flags | O_CLOEXEC, "file");
  } else if (queue.by_path()) {
    fd = plan.call(kSelf, SYS_openat,
                   {AT_FDCWD, Operand::data(plan.text(file.path().path())), flags | O_CLOEXEC}, "file");
  } else {
    TRY_ASSIGN(std::string name, name_of(file));
    fd = plan_open(plan, file, queue, name, Operand::data(plan.text(name)),
                   flags | (queue.messages() == 0 ? O_CREAT : 0));
  }
  // read(2) gives a line about the queue, from there on.
  if (file.position() != 0)
    plan.call_expecting(kSelf, static_cast<std::uint64_t>(file.position()), SYS_lseek,
                        {Operand::result(fd), file.position(), SEEK_SET}, "position of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject* object, const DumpPolicy&) {
  auto queue = unpack<pb::MessageQueue>(file.detail(), "message queue");
  if (!queue) return {};
  if (queue->notified_pid() != 0)
    return {Verdict::Unsupported, "mqueue-notify",
            fmt::format("process {} is to be told of the next message (mq_notify), which cannot be taken yet",
                        queue->notified_pid()),
            ""};
  if (object == nullptr) return {};
  queue = unpack<pb::MessageQueue>(object->detail(), "message queue");
  if (queue && queue->messages() != static_cast<std::uint64_t>(queue->queued_size()))
    return {Verdict::Unsupported, "mqueue-messages",
            fmt::format(
                "the queue has no name any more, and of its {} messages {} can be read: those of up to {} "
                "bytes, if all together have no more than {}, and nobody sends or takes any meanwhile",
                queue->messages(), queue->queued_size(), static_cast<int>(MQUEUE_MOST_DATA),
                static_cast<int>(MQUEUE_MOST_BYTES)),
            ""};
  return {};
}

}  // namespace

extern const Kind kMqueue = {
    .name = "mqueue",
    .kept =
        "which queue by its name; of one without a name, or missing: attributes, mode, owner; of one "
        "without a name: messages",
    .not_kept = "messages of a queue with a name; O_LARGEFILE",
    .refused =
        "messages of more than 20 KiB in a queue that has no name; a process that waits by mq_notify(3)",
    .describe = describe,
    .make = make,
    .plan = plan,
    .diagnose = diagnose,
    .settle = settle,
    .has_object = has_object,
    .add_items = add_items,
};

}  // namespace bpfckpt::kinds
