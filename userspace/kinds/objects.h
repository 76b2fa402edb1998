// SPDX-License-Identifier: Apache-2.0
// Objects: what several descriptions share.
#pragma once

#include <sys/stat.h>

#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

// A descriptor of bpfckpt's by which the object can be opened again, through /proc/self/fd; made on the first
// call.
Result<Operand> plan_object(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object);

// Where something that was called `path` and has lost that name can be made: there, unless somebody took the
// name since.
std::string free_name(const Environment& environment, const std::string& path);

// Gives the file behind bpfckpt's `fd` its time of change again (and the same time of access).
void plan_mtime(PlanBuilder& plan, Operand fd, std::int64_t mtime_ns);

// "/a" of "/a/b", "/" of "/a".
std::string directory_of(const std::string& path);

// Making a name in a directory and removing it again changes the directory's times, which are somebody's
// data: between the constructor and put_back() they are kept.
class DirectoryTimes {
 public:
  // `directory`: the text of its path.
  DirectoryTimes(PlanBuilder& plan, Operand directory);
  void put_back();

 private:
  PlanBuilder& plan_;
  Operand directory_;
  DataId facts_;  // struct stat
};

// Copies the bytes of the file behind `fd`, of which fstat(2) says `facts`, holes left out, into the image of
// contents, and says in `content` where they are. Leaves the descriptor's own position alone.
Result<void> copy_content(EnrichContext& context, int fd, const struct stat& facts, pb::Content& content);

// What says in an Any which message it holds. Its own PackFrom() and UnpackTo() put this together anew each
// time, which costs more than the message.
template <class Message>
const std::string& type_url() {
  static const std::string url = "type.googleapis.com/" + Message::descriptor()->full_name();
  return url;
}

// Packs an object's or a description's own message.
template <class Message>
void pack(const Message& message, google::protobuf::Any& any) {
  any.set_type_url(type_url<Message>());
  message.SerializeToString(any.mutable_value());
}

// Unpacks it.
template <class Message>
Result<Message> unpack(const google::protobuf::Any& any, std::string_view what) {
  Message message;
  if (any.type_url() != type_url<Message>() || !message.ParseFromString(any.value()))
    return fail(Error::bad_image(fmt::format("{}: its details are of another type", what)));
  return message;
}

}  // namespace bpfckpt::kinds
