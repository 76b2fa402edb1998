// SPDX-License-Identifier: Apache-2.0
// An epoll instance: targets with their data and triggers, edges and one-shots that were reported or not, a
// number that was closed or is another file's since, an instance in an instance, one that is shared, and a
// waiting thread.
#include <sys/epoll.h>

#include <map>
#include <thread>

#include "harness/cr_memory.h"

namespace {

struct Pipe {
  int read_end, write_end;
};

Pipe make() {
  int fds[2];
  REQUIRE(::pipe2(fds, O_NONBLOCK) == 0);
  return {fds[0], fds[1]};
}

void add(int epoll, int fd, std::uint32_t events, std::uint64_t data) {
  epoll_event event{events, {.u64 = data}};
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

std::map<std::uint64_t, std::uint32_t> ready(int epoll) {
  epoll_event events[64];
  const int n = ::epoll_wait(epoll, events, 64, 0);
  CHECK(n >= 0);
  std::map<std::uint64_t, std::uint32_t> found;
  for (int i = 0; i < n; ++i) found[events[i].data.u64] = events[i].events;
  return found;
}

void put(const Pipe& pipe) {
  REQUIRE(::write(pipe.write_end, "x", 1) == 1);
}

using Found = std::map<std::uint64_t, std::uint32_t>;

}  // namespace

void cr::test() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const Pipe level = make(), edge_reported = make(), edge_new = make(), shot_fired = make(),
             shot_armed = make(), quiet = make();
  add(epoll, level.read_end, EPOLLIN, 0xdeadbeef00000001);
  add(epoll, edge_reported.read_end, EPOLLIN | EPOLLET, 2);
  add(epoll, edge_new.read_end, EPOLLIN | EPOLLET, 3);
  add(epoll, shot_fired.read_end, EPOLLIN | EPOLLONESHOT, 4);
  add(epoll, shot_armed.read_end, EPOLLIN | EPOLLONESHOT, 5);
  add(epoll, quiet.read_end, EPOLLIN | EPOLLRDHUP, 6);
  put(level);
  put(edge_reported);
  put(shot_fired);
  REQUIRE(ready(epoll).size() == 3);  // the edge and the one-shot are reported
  put(edge_new);
  put(shot_armed);

  // One instance whose targets' numbers changed hands.
  const int moved = ::epoll_create1(0);
  const Pipe closed_number = make(), reused_number = make();
  add(moved, closed_number.read_end, EPOLLIN, 10);
  add(moved, reused_number.read_end, EPOLLIN, 11);
  REQUIRE(::dup(closed_number.read_end) >= 0 && ::dup(reused_number.read_end) >= 0);

  // An instance in an instance, and one that a child waits on.
  const int outer = ::epoll_create1(0);
  add(outer, moved, EPOLLIN, 20);
  const int shared = ::epoll_create1(0);
  const Pipe wake = make();
  add(shared, wake.read_end, EPOLLIN, 30);
  Child child([&] {
    epoll_event event{};
    CHECK(::epoll_wait(shared, &event, 1, -1) == 1 && event.data.u64 == 30);
  });
  wait_in_syscall(child.pid(), SYS_epoll_wait);
  // Last: nothing else is to get the number.
  REQUIRE(::close(closed_number.read_end) == 0);
  REQUIRE(::dup3(quiet.read_end, reused_number.read_end, O_CLOEXEC) >= 0);
  checkpoint_here();
  Found found = ready(epoll);
  CHECK(found == (Found{{0xdeadbeef00000001, EPOLLIN}, {3, EPOLLIN}, {5, EPOLLIN}}));
  found = ready(epoll);
  CHECK(found == (Found{{0xdeadbeef00000001, EPOLLIN}}));
  put(edge_reported);  // a new edge
  put(quiet);
  found = ready(epoll);
  CHECK(found == (Found{{0xdeadbeef00000001, EPOLLIN}, {2, EPOLLIN}, {6, EPOLLIN}}));
  epoll_event again{EPOLLIN | EPOLLONESHOT, {.u64 = 44}};
  CHECK(::epoll_ctl(epoll, EPOLL_CTL_MOD, shot_fired.read_end, &again) == 0);
  CHECK(ready(epoll).contains(44));
  CHECK(::epoll_ctl(epoll, EPOLL_CTL_ADD, level.read_end, &again) < 0 && errno == EEXIST);
  CHECK(::epoll_ctl(epoll, EPOLL_CTL_DEL, level.read_end, nullptr) == 0);
  CHECK(!ready(epoll).contains(0xdeadbeef00000001));

  CHECK(ready(outer).empty());
  put(closed_number);
  put(reused_number);
  CHECK(ready(outer).contains(20));
  CHECK(ready(moved) == (Found{{10, EPOLLIN}, {11, EPOLLIN}}));
  CHECK(::fcntl(closed_number.read_end, F_GETFD) < 0);
  CHECK_EQ(::fcntl(reused_number.read_end, F_GETFD), FD_CLOEXEC);

  put(wake);
  child.join();
}
