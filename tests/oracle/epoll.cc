// SPDX-License-Identifier: Apache-2.0
// Targets of epoll instances against the tfd lines of /proc/PID/fdinfo.
#include <sys/epoll.h>
#include <sys/resource.h>

#include <map>

#include "images/kinds/epoll.pb.h"
#include "oracle/target.h"

using namespace oracle;

namespace {

constexpr int kTargets = 900;  // more than one reading of the collector brings

void add(int epoll, int fd, std::uint32_t events, std::uint64_t data) {
  epoll_event event{events, {.u64 = data}};
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

TEST_CASE("epoll targets, as fdinfo shows them") {
  Target target([] {
    int ends[2];
    ::pipe2(ends, O_NONBLOCK);
    const int epoll = ::epoll_create1(0);
    for (int i = 0; i < kTargets; ++i)
      add(epoll, ::fcntl(ends[0], F_DUPFD, 10), i % 3 ? EPOLLIN : EPOLLIN | EPOLLET, 0x123456789abc0000u + i);
    ::dup2(epoll, 990);
    ::dup2(::epoll_create1(EPOLL_CLOEXEC), 991);  // empty
  });
  const auto model = model_of(target.pid());
  bpfckpt::ModelIndex index(model);
  std::map<std::uint32_t, bpfckpt::pb::Epoll> found;
  std::map<std::uint32_t, std::uint32_t> files;  // by number
  for (const auto& entry : model.files.tables(0).entries()) {
    files[entry.fd()] = entry.file_id();
    const auto* file = index.file(entry.file_id());
    if (file->kind() == "epoll") REQUIRE(file->detail().UnpackTo(&found[entry.fd()]));
  }
  REQUIRE(found.contains(990));
  REQUIRE(found.contains(991));
  CHECK(found[991].targets().empty());
  std::multimap<std::uint32_t, std::pair<std::uint32_t, std::uint64_t>> expected;
  for (const std::string& line : target.lines("fdinfo/990")) {
    unsigned fd = 0, events = 0;
    unsigned long long data = 0;
    if (std::sscanf(line.c_str(), "tfd: %u events: %x data: %llx", &fd, &events, &data) == 3)
      expected.emplace(fd, std::pair(events, data));
  }
  CHECK(expected.size() == kTargets);
  std::multimap<std::uint32_t, std::pair<std::uint32_t, std::uint64_t>> seen;
  for (const auto& it : found[990].targets()) {
    seen.emplace(it.fd(), std::pair(it.events(), it.data()));
    CHECK(it.file_id() == files[it.fd()]);
    CHECK(!it.ready());
  }
  CHECK(seen == expected);
}
