// SPDX-License-Identifier: Apache-2.0
// What an image may say of unix sockets, and what it may not.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <functional>

#include "harness/kind_plan.h"
#include "harness/synthetic_model.h"
#include "images/kinds/eventfd.pb.h"
#include "images/kinds/unix.pb.h"
#include "kinds/policy.h"
#include "kinds/unix.h"

using namespace bpfckpt;

namespace {

pb::UnixSocket socket_of(int type) {
  pb::UnixSocket socket;
  pb::Socket& common = *socket.mutable_common();
  common.set_family(AF_UNIX);
  common.set_type(static_cast<std::uint32_t>(type));
  common.set_receive_buffer(212992);
  common.set_send_buffer(212992);
  return socket;
}

// Plans them as files 1, 2, ... of one round.
std::string text_of(const std::vector<pb::UnixSocket>& sockets) {
  const Model model = synthetic::make_model("pages-1", "pages-2", "contents");
  ModelIndex index(model);
  kind_plan::EmptyMachine machine;
  PlanBuilder builder(model, index, machine);
  builder.plan().root = model.tasks.processes(0).pid();
  builder.phase("files");
  std::vector<pb::File> files;
  for (const pb::UnixSocket& socket : sockets) {
    files.push_back(kind_plan::file_with("unix", socket));
    files.back().set_id(static_cast<std::uint32_t>(files.size()));
    files.back().mutable_inode()->set_mode(0140777);
  }
  std::vector<const pb::File*> group;
  for (const pb::File& file : files) group.push_back(&file);
  auto planned = kinds::find("unix")->make_group(builder, group);
  if (!planned)
    return (planned.error().code() == Error::Code::BadImage ? "bad image: " : "") + planned.error().message();
  for (const pb::File& file : files)
    if (builder.file(file.id()) == nullptr) return "no descriptor";
  return to_text(builder.finish());
}

std::vector<pb::UnixSocket> pair(int type) {
  std::vector<pb::UnixSocket> ends{socket_of(type), socket_of(type)};
  ends[0].set_peer_file_id(2);
  ends[1].set_peer_file_id(1);
  return ends;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) n++;
  return n;
}

}  // namespace

TEST_CASE("a pair is made by one call, and its messages are sent by the other end") {
  auto ends = pair(SOCK_STREAM);
  ends[0].add_messages()->set_data("hello");
  const std::string text = text_of(ends);
  CHECK(count(text, "socketpair") == 1);
  CHECK(count(text, "sendmsg") == 1);
  CHECK(text.find("setresuid") == std::string::npos);
}

TEST_CASE("who made it had ids of its own") {
  auto ends = pair(SOCK_STREAM);
  for (pb::UnixSocket& end : ends) end.mutable_common()->mutable_peer()->set_uid(1000);
  CHECK(count(text_of(ends), "setresuid") == 2);
}

TEST_CASE("a name that is gone is bound where nobody sees it") {
  pb::UnixSocket socket = socket_of(SOCK_DGRAM);
  socket.set_name("/run/gone");
  socket.set_bound(true);
  socket.mutable_node()->set_path("/run/gone");
  CHECK(text_of({socket}).find("fsmount") == std::string::npos);
  socket.mutable_node()->set_deleted(true);
  const std::string text = text_of({socket});
  CHECK(text.find("fsmount") != std::string::npos);
  CHECK(count(text, "chroot") == 2);
}

TEST_CASE("damaged unix sockets are refused") {
  auto refused = [](std::vector<pb::UnixSocket> sockets, const std::function<void(pb::UnixSocket&)>& damage) {
    damage(sockets[0]);
    const std::string text = text_of(sockets);
    CAPTURE(text);
    return text.starts_with("bad image: ") || text.find("unix socket") != std::string::npos;
  };
  const std::vector<pb::UnixSocket> one{socket_of(SOCK_STREAM)};
  CHECK(refused(one, [](auto& s) { s.mutable_common()->set_type(SOCK_RAW); }));
  CHECK(refused(one, [](auto& s) { s.mutable_common()->set_family(AF_INET); }));
  CHECK(refused(one, [](auto& s) { s.mutable_common()->set_shutdown(4); }));
  CHECK(refused(one, [](auto& s) { s.set_name(std::string(109, 'x')); }));
  CHECK(refused(one, [](auto& s) { s.set_bound(true); }));
  CHECK(refused(one, [](auto& s) { s.set_listening(true); }));
  CHECK(refused(one, [](auto& s) { s.add_pending(); }));
  CHECK(refused(one, [](auto& s) { s.set_peer_file_id(1); }));
  CHECK(refused(one, [](auto& s) { s.set_peer_file_id(77); }));
  CHECK(refused(one, [](auto& s) { s.add_messages()->set_data("of nobody"); }));
  CHECK(refused(one, [](auto& s) {
    s.set_name("/x");
    s.set_bound(true);
  }));
  CHECK(refused(one, [](auto& s) {
    s.set_name("relative");
    s.set_bound(true);
    s.mutable_node()->set_path("/somewhere/else");
  }));
  CHECK(refused(pair(SOCK_STREAM), [](auto& s) { s.set_peer_gone(true); }));
  CHECK(refused(pair(SOCK_STREAM), [](auto& s) { s.mutable_common()->set_type(SOCK_DGRAM); }));
  CHECK(refused(pair(SOCK_STREAM), [](auto& s) { s.add_messages()->add_file_ids(55); }));
  CHECK(refused(pair(SOCK_STREAM), [](auto& s) { s.add_messages()->set_length(5); }));
  CHECK(refused(pair(SOCK_STREAM), [](auto& s) {
    s.add_messages()->set_data("more than one");
    s.mutable_messages(0)->set_out_of_band(true);
  }));
  CHECK(refused(pair(SOCK_DGRAM), [](auto& s) {
    s.add_messages()->set_data("stray");
    s.mutable_messages(0)->set_sender_file_id(1);
  }));
}

TEST_CASE("where a relative name was bound") {
  std::size_t up = 0;
  CHECK(kinds::directory_of_relative("x", "/a/b/x", up) == "/a/b");
  CHECK(up == 0);
  CHECK(kinds::directory_of_relative("./b//x", "/a/b/x", up) == "/a");
  CHECK(kinds::directory_of_relative("../x", "/a/x", up) == "/a");
  CHECK(up == 1);
  CHECK(kinds::directory_of_relative("c/../x", "/x", up) == "/");
  CHECK(kinds::directory_of_relative("y", "/a/x", up).empty());
  CHECK(kinds::directory_of_relative("..", "/a", up).empty());
}

namespace {

kinds::Finding judged(const pb::UnixSocket& socket, const DumpPolicy& policy = {}) {
  pb::File file = kind_plan::file_with("unix", socket);
  file.mutable_inode()->set_number(11);
  return kinds::find("unix")->diagnose(file, nullptr, policy);
}

// A client of a server that is outside of the tree.
pb::UnixSocket client_outside() {
  pb::UnixSocket socket = socket_of(SOCK_STREAM);
  socket.mutable_outside()->set_inode(12);
  socket.set_peer_name("/run/server");
  return socket;
}

}  // namespace

TEST_CASE("the option that is told for an end outside is enough") {
  const DumpPolicy connecting{.ext_unix_sk = true};
  pb::UnixSocket socket = client_outside();
  CHECK(judged(socket).hint == "--ext-unix-sk");
  CHECK(judged(socket, connecting).verdict == kinds::Verdict::Ok);

  pb::UnixSocket with_messages = socket;
  with_messages.add_messages()->set_data("unread");
  pb::UnixSocket nameless = socket;
  nameless.clear_peer_name();
  pb::UnixSocket misplaced = socket;
  misplaced.set_bound(true);
  misplaced.set_name("client");
  misplaced.mutable_node()->set_path("/elsewhere/other");
  for (const auto& [other, code] : {std::pair(with_messages, "unix-outside-data"),
                                    std::pair(nameless, "unix-outside"), std::pair(misplaced, "unix-name")})
    for (const DumpPolicy& policy : {DumpPolicy{}, connecting}) {
      CHECK(judged(other, policy).code == code);
      CHECK(judged(other, policy).verdict == kinds::Verdict::NeedsOption);
      CHECK(judged(other, policy).hint == "--external socket:[11]");
    }
}

TEST_CASE("what a dump cannot read from a queue is said before it tries") {
  pb::UnixSocket urgent = socket_of(SOCK_STREAM);
  urgent.add_messages()->set_length(100'000);
  CHECK(judged(urgent).verdict == kinds::Verdict::Ok);
  urgent.add_messages()->set_data("!");
  urgent.mutable_messages(1)->set_out_of_band(true);
  CHECK(judged(urgent).code == "unix-urgent");

  pb::UnixSocket listening = socket_of(SOCK_STREAM);
  pb::UnixPending& pending = *listening.add_pending();
  pending.set_client_gone(true);
  pending.add_messages()->set_data("x");
  CHECK(judged(listening).verdict == kinds::Verdict::Ok);
  pending.mutable_messages(0)->set_unknown_files(1);
  CHECK(judged(listening).code == "unix-pending-data");
}

TEST_CASE("what is in flight in a running tree is told, and no obstacle") {
  pb::UnixSocket socket = socket_of(SOCK_STREAM);
  socket.add_messages()->set_unknown_files(1);
  kinds::Finding finding = judged(socket);
  CHECK(finding.verdict == kinds::Verdict::Ok);
  CHECK(finding.code == kinds::kUnknownInFlight);
  CHECK(finding.reason.starts_with("a descriptor is in flight to it"));
  socket.add_messages()->set_unknown_files(2);
  CHECK(judged(socket).reason.starts_with("3 descriptors are in flight to it"));
}
