// SPDX-License-Identifier: Apache-2.0
// Message queues against what mq_getattr(3) says of them.
#include <mqueue.h>

#include <set>

#include "images/kinds/mqueue.pb.h"
#include "oracle/target.h"

using namespace oracle;

TEST_CASE("message queues") {
  const std::string name = "/bpfckpt-oracle-" + std::to_string(::getpid());
  mq_attr attributes{};
  attributes.mq_maxmsg = 4;
  attributes.mq_msgsize = 33;
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  REQUIRE(queue >= 0);
  REQUIRE(::mq_send(queue, "x", 1, 0) == 0);
  Target target([&] {
    for (int fd : {100, 101, 102}) ::dup2(::mq_open(name.c_str(), fd == 101 ? O_RDONLY : O_WRONLY), fd);
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    ::mq_notify(100, &event);
  });
  ::mq_unlink(name.c_str());
  ::mq_getattr(queue, &attributes);
  ::mq_close(queue);
  const auto model = model_of(target.pid());
  int seen = 0;
  std::set<std::uint32_t> objects;
  for (const auto& file : model.files.files()) {
    if (file.kind() != "mqueue" || !file.path().path().starts_with(name)) continue;
    bpfckpt::pb::MessageQueue detail;
    REQUIRE(file.detail().UnpackTo(&detail));
    CHECK(detail.max_messages() == static_cast<std::uint64_t>(attributes.mq_maxmsg));
    CHECK(detail.message_bytes() == static_cast<std::uint64_t>(attributes.mq_msgsize));
    CHECK(detail.messages() == static_cast<std::uint64_t>(attributes.mq_curmsgs));
    CHECK(detail.notified_pid() == static_cast<std::uint32_t>(target.pid()));
    CHECK_FALSE(detail.by_path());
    CHECK(file.path().deleted());
    objects.insert(file.object_id());
    ++seen;
  }
  CHECK(seen >= 3);
  CHECK(objects.size() == 1);
  CHECK_FALSE(objects.contains(0));
}
