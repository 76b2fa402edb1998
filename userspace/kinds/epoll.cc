// SPDX-License-Identifier: Apache-2.0
// epoll instances.
//
// A target is a file description together with the number by which it was added: the kernel's key is both,
// and epoll_ctl(2) finds the description by the number alone. So targets are added again by a process that
// has the description under that number; where the number was closed or is another file's by now, the
// description stands there for the moment of the call.
//
// Adding a target looks at it, and puts it on the ready list if there is something: for a level-triggered one
// that is as it should be. An edge-triggered one whose edge was reported before would report it again: these
// are added first and reported to nobody, all the others follow. The same is done to one-shots that have
// fired: what they once waited for is not known any more, so they are added for all that their file has to
// tell, and fire. Kept: targets, numbers, events, data, edges reported or not. Not kept: the order of the
// ready list; a one-shot that has fired while its file is quiet watches for EPOLLERR and EPOLLHUP again,
// which epoll_ctl(2) always adds; the parameters of busy polling (EPIOCSPARAMS).
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include <algorithm>
#include <vector>

#include "bpf/records.h"
#include "images/kinds/epoll.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

// fs/eventpoll.c: EP_PRIVATE_BITS; what is left of the events of a one-shot that has fired.
constexpr std::uint32_t kPrivateBits = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
constexpr short kPollable = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;  // EPOLL* has the same numbers
constexpr std::size_t kEventsPerBlock = 128;
constexpr std::uint32_t kLargestFd = 1 << 30;
static_assert(sizeof(epoll_event) == 12);

Result<void> describe(const file_record&, pb::File& file, pb::FileObject*) {
  file.mutable_detail()->PackFrom(pb::Epoll());
  return {};
}

Result<void> add_items(std::span<const record_head* const> items, const FileIds& ids, pb::File& file) {
  pb::Epoll epoll;
  for (const record_head* head : items) {
    if (head->type != RECORD_EPOLL_ITEM || head->length < sizeof(epoll_item_record))
      return fail(Error::bug("epoll: a record of another type"));
    const auto& item = *reinterpret_cast<const epoll_item_record*>(head);
    pb::EpollTarget& target = *epoll.add_targets();
    target.set_file_id(ids(item.file));
    target.set_fd(item.fd);
    target.set_events(item.events);
    target.set_data(item.data);
    target.set_ready(item.ready != 0);
  }
  file.mutable_detail()->PackFrom(epoll);
  return {};
}

bool has_fired(const pb::EpollTarget& target) {
  return (target.events() & EPOLLONESHOT) != 0 && (target.events() & ~kPrivateBits) == 0;
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::Epoll epoll, unpack<pb::Epoll>(file.detail(), "epoll"));
  bool changed = false;
  for (pb::EpollTarget& target : *epoll.mutable_targets()) {
    if (!has_fired(target) || target.file_id() == 0) continue;
    pb::File watched;
    watched.set_id(target.file_id());
    TRY_ASSIGN(Fd fd, context.borrow(watched));
    pollfd looked{fd.get(), kPollable, 0};
    if (::poll(&looked, 1, 0) != 1) continue;
    target.set_pollable(static_cast<std::uint32_t>(looked.revents));
    changed = true;
  }
  if (changed) file.mutable_detail()->PackFrom(epoll);
  return {};
}

// Must not be reported again, whatever there is to report.
bool was_reported(const pb::EpollTarget& target) {
  return has_fired(target) || ((target.events() & EPOLLET) != 0 && !target.ready());
}

class Connector {
 public:
  Connector(PlanBuilder& plan, const pb::File& file, const Installed& installed)
      : plan_(plan), file_(file), installed_(installed) {}

  Result<void> run(const pb::Epoll& epoll) {
    std::span<const Installed::Place> places = installed_.places(file_.id());
    if (places.empty()) return {};  // held by nobody: nothing to wait on it
    home_ = places.front();
    std::vector<const pb::EpollTarget*> reported, others;
    for (const pb::EpollTarget& target : epoll.targets()) {
      TRY(check(target), "target {}", target.fd());
      (was_reported(target) ? reported : others).push_back(&target);
    }
    TRY(add(reported));
    if (!reported.empty()) drain(reported.size());
    return add(others);
  }

 private:
  Result<void> check(const pb::EpollTarget& target) const {
    if (target.file_id() == file_.id() || plan_.index().file(target.file_id()) == nullptr)
      return fail(Error::bad_image(fmt::format("epoll: no file {}", target.file_id())));
    if (target.fd() > kLargestFd) return fail(Error::bad_image("epoll: a bad descriptor number"));
    if (static_cast<int>(target.fd()) == plan_.plan().channel_fd)
      return fail(Error::conflict("the number is needed while the tree is made"));
    return {};
  }

  Result<void> add(const std::vector<const pb::EpollTarget*>& targets) {
    for (std::size_t i = 0; i < targets.size(); i += kEventsPerBlock) {
      std::size_t count = std::min(kEventsPerBlock, targets.size() - i);
      std::vector<epoll_event> events(count);
      for (std::size_t k = 0; k < count; k++) {
        events[k].events = targets[i + k]->events() | (targets[i + k]->pollable() & kPollable);
        events[k].data.u64 = targets[i + k]->data();
      }
      DataId block = plan_.data(std::as_bytes(std::span(events)));
      for (std::size_t k = 0; k < count; k++)
        TRY(add_one(*targets[i + k], Operand::data(block, k * sizeof(epoll_event))));
    }
    return {};
  }

  Result<void> add_one(const pb::EpollTarget& target, Operand event) {
    for (const Installed::Place& place : installed_.places(file_.id()))
      if (installed_.at(place.pid, target.fd()).file_id == target.file_id()) {
        control(place.pid, place.fd, target.fd(), event);
        return {};
      }
    return add_by_stand_in(target, event);
  }

  void control(std::uint32_t pid, std::uint32_t epoll_fd, std::uint32_t fd, Operand event) {
    plan_.call(pid, SYS_epoll_ctl, {epoll_fd, EPOLL_CTL_ADD, fd, event}, "target");
  }

  Result<void> add_by_stand_in(const pb::EpollTarget& target, Operand event) {
    const Actor pid = home_.pid;
    std::span<const Installed::Place> places = installed_.places(target.file_id());
    if (places.empty())
      return fail(Error::bad_image(fmt::format("epoll: nobody has file {}", target.file_id())));
    auto own = std::ranges::find(places, pid, &Installed::Place::pid);
    Operand source;
    if (own != places.end()) {
      source = own->fd;
    } else {
      OpId fetched = plan_.op(Op::Code::Fetch, kSelf, {places.front().pid, places.front().fd}, "target");
      plan_.close_later(Operand::result(fetched));
      source = Operand::result(plan_.op(Op::Code::Pull, pid, {Operand::result(fetched)}));
    }
    const Installed::Occupant occupant = installed_.at(pid, target.fd());
    OpId saved = 0;
    if (occupant.file_id != 0)
      saved = plan_.call(pid, SYS_fcntl, {target.fd(), F_DUPFD_CLOEXEC, 0},
                         "makes room for a target's old number");
    plan_.call(pid, SYS_dup3, {source, target.fd(), O_CLOEXEC});
    control(pid, home_.fd, target.fd(), event);
    if (occupant.file_id != 0) {
      plan_.call(pid, SYS_dup3,
                 {Operand::result(saved), target.fd(), occupant.close_on_exec ? O_CLOEXEC : 0});
      plan_.call(pid, SYS_close, {Operand::result(saved)});
    } else {
      plan_.call(pid, SYS_close, {target.fd()});
    }
    if (own == places.end()) plan_.call(pid, SYS_close, {source});
    return {};
  }

  // Reports what there is to a buffer that nobody reads. One call reports each target once at most.
  void drain(std::size_t count) {
    DataId buffer = plan_.zeroes(count * sizeof(epoll_event));
    plan_.call(home_.pid, SYS_epoll_pwait, {home_.fd, Operand::data(buffer), count, 0, 0, 8},
               "reported before");
  }

  PlanBuilder& plan_;
  const pb::File& file_;
  const Installed& installed_;
  Installed::Place home_;
};

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  OpId fd = plan.call(kSelf, SYS_epoll_create1, {EPOLL_CLOEXEC}, "epoll");
  if ((file.flags() & ~static_cast<std::uint32_t>(O_ACCMODE)) != 0)
    plan.call(kSelf, SYS_fcntl, {Operand::result(fd), F_SETFL, file.flags()}, "flags of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Result<void> connect(PlanBuilder& plan, const pb::File& file, const Installed& installed) {
  TRY_ASSIGN(pb::Epoll epoll, unpack<pb::Epoll>(file.detail(), "epoll"));
  return Connector(plan, file, installed).run(epoll);
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto epoll = unpack<pb::Epoll>(file.detail(), "epoll");
  if (!epoll) return {};
  for (const pb::EpollTarget& target : epoll->targets())
    if (target.file_id() == 0)
      return {Verdict::Unsupported, "epoll-target-outside",
              fmt::format("it watches what was descriptor {}, which no process of the tree has any more",
                          target.fd()),
              ""};
  return {};
}

}  // namespace

extern const Kind kEpoll = {
    .name = "epoll",
    .kept =
        "targets with the number by which each was added, events and data; which edges and one-shots were "
        "reported",
    .not_kept =
        "the order of the ready list; that a one-shot which has fired while its file is quiet does not watch "
        "for errors and hang-ups; parameters of busy polling",
    .refused = "a target that no process of the tree has open any more",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
    .add_items = add_items,
    .connect = connect,
};

}  // namespace bpfckpt::kinds
