// SPDX-License-Identifier: Apache-2.0
// What an image may say of a message queue, and what it may not.
#include <doctest/doctest.h>

#include "harness/kind_plan.h"
#include "images/kinds/mqueue.pb.h"

using namespace bpfckpt;
using kind_plan::file_with;
using kind_plan::text_of;

TEST_CASE("a message queue has a name, and messages that it can have where it lost it") {
  pb::MessageQueue queue;
  pb::File file = file_with("mqueue", queue);
  CHECK(text_of(file).starts_with("bad image: message queue: no name"));
  file.mutable_path()->set_path("/jobs");
  CHECK(text_of(file).find("\"jobs\"") != std::string::npos);
  Model model;
  pb::FileObject& object = *model.files.add_objects();
  object.set_id(1);
  object.set_kind("mqueue");
  object.mutable_detail()->PackFrom(queue);
  file.set_object_id(1);
  CHECK(text_of(file, model).find("mq_unlink") != std::string::npos);
  queue.set_messages(1);
  object.mutable_detail()->PackFrom(queue);
  CHECK(text_of(file, model).starts_with("bad image: message queue: messages"));
  // Told, but more than it has room for, and then of what it cannot hold.
  queue.add_queued()->set_data("four");
  auto text = [&](std::uint64_t max_messages, std::uint64_t message_bytes, std::uint32_t priority) {
    queue.set_max_messages(max_messages);
    queue.set_message_bytes(message_bytes);
    queue.mutable_queued(0)->set_priority(priority);
    object.mutable_detail()->PackFrom(queue);
    return text_of(file, model);
  };
  CHECK(text(1, 4, 32767).find("mq_timedsend") != std::string::npos);
  CHECK(text(0, 4, 0).starts_with("bad image: message queue: more messages"));
  CHECK(text(1, 3, 0).starts_with("bad image: message queue: an impossible message"));
  CHECK(text(1, 4, 32768).starts_with("bad image: message queue: an impossible message"));
  object.set_kind("pidfd");
  CHECK(text_of(file, model).starts_with("bad image: objects of kind pidfd"));
}
