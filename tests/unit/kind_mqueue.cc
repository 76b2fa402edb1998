// SPDX-License-Identifier: Apache-2.0
// What an image may say of a message queue, and what it may not.
#include <doctest/doctest.h>

#include "harness/kind_plan.h"
#include "images/kinds/mqueue.pb.h"

using namespace bpfckpt;
using kind_plan::file_with;
using kind_plan::text_of;

TEST_CASE("a message queue has a name, and no messages where it lost it") {
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
  object.set_kind("pidfd");
  CHECK(text_of(file, model).starts_with("bad image: objects of kind pidfd"));
}
