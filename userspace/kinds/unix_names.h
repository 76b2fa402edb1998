// SPDX-License-Identifier: Apache-2.0
// Names of unix sockets, and in whose stead they are used.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "images/kinds/unix.pb.h"
#include "kinds/objects.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

bool same_caller(const pb::PeerCredentials& a, const pb::PeerCredentials& b);
// Any order that brings equal ones together.
bool caller_before(const pb::PeerCredentials& a, const pb::PeerCredentials& b);

// Who makes a call that is told to the other end (SO_PEERCRED). Processes of the tree have bpfckpt's ids
// while it is being made, and get their own last; for such a call they have those that they had then.
class Callers {
 public:
  explicit Callers(PlanBuilder& plan) : plan_(plan) {}

  // Calls `act(actor)`, which plans operations of that actor: the process of the number that `who` has, or
  // the root of the tree where there is none.
  template <class Act>
  void as(const pb::PeerCredentials& who, Act&& act) {
    const Actor actor = actor_for(who);
    const bool other = become(actor, who);
    act(actor);
    if (other) become_again(actor);
  }

  // The same for each of `range`, those of one caller together; `key` gives the caller.
  template <class Range, class Key, class Act>
  void for_each(Range& range, Key&& key, Act&& act) {
    std::vector<std::pair<pb::PeerCredentials, decltype(&*std::begin(range))>> sorted;
    for (auto& one : range) sorted.emplace_back(key(one), &one);
    std::ranges::stable_sort(sorted,
                             [](const auto& a, const auto& b) { return caller_before(a.first, b.first); });
    for (std::size_t i = 0; i < sorted.size();)
      as(sorted[i].first, [&](Actor actor) {
        const std::size_t begin = i;
        for (; i < sorted.size() && same_caller(sorted[begin].first, sorted[i].first); i++)
          act(actor, *sorted[i].second);
      });
  }

 private:
  Actor actor_for(const pb::PeerCredentials& who) const;
  bool become(Actor actor, const pb::PeerCredentials& who);
  void become_again(Actor actor);

  PlanBuilder& plan_;
};

struct Address {
  DataId block = 0;  // struct sockaddr_un
  std::size_t bytes = 0;
};

// Binds sockets, all that were added since the last time at once.
//
// The kernel keeps the string that bind(2) was given, and apart from it the inode that it made. So a relative
// name is bound from the directory that it was relative to; and a path that was deleted, or belongs to a
// socket that is gone, is bound where nobody sees it: in a file system of its own that is mounted nowhere,
// which is the root directory, or the working one, for that one call.
class UnixNames {
 public:
  using SetPlace = std::function<void(Operand place)>;
  struct Name {
    Operand fd;
    std::string name;
    bool needs_place = false;  // somebody will connect to it
    bool may_fail = false;     // abstract, and may be somebody else's by now
  };

  explicit UnixNames(PlanBuilder& plan) : plan_(plan) {}

  // Of what is gone: hidden, if it is a path.
  void add(Name name, SetPlace set_place = nullptr);
  // Of a socket with its place in the file system.
  Result<void> add_bound(Operand fd, const pb::UnixSocket& socket, bool needs_place, SetPlace set_place);
  // Leaves another phase open than it found, if there was anything.
  void plan();
  void remove_hidden();

  // By which `actor` reaches the socket of that name: a path through its `place`, which works for deleted and
  // hidden ones as well; plans what is needed for it.
  Address address(Actor actor, const std::string& name, const std::optional<Operand>& place);
  // When `actor` needs no address any more, or for now.
  void forget_place(Actor actor);

 private:
  struct Hidden {
    Name name;
    SetPlace set_place;
    std::string node;  // below the hidden root
    Operand directory;
  };
  struct Visible {
    Operand fd;
    std::string name, path, directory;  // the directory of a relative name; empty: it is absolute
    std::uint32_t mode = 0, uid = 0, gid = 0;
    bool needs_place = false;
    SetPlace set_place;
  };

  Address block_of(const std::string& name);
  DataId text(const std::string& text) { return plan_.text(text); }
  void hide(Hidden& hidden);
  void bind_there(std::vector<Hidden>& hidden);
  int place_number();

  PlanBuilder& plan_;
  std::vector<Name> abstract_;
  std::vector<Hidden> hidden_;
  std::vector<Visible> visible_;
  std::vector<std::string> hidden_nodes_;
  std::map<std::string, std::unique_ptr<DirectoryTimes>> directories_;
  std::optional<Operand> hidden_root_;
  std::size_t hidden_count_ = 0;
  int place_number_ = -1;
  std::map<Actor, Operand> places_;  // what is at place_number_ of whom
};

}  // namespace bpfckpt::kinds
