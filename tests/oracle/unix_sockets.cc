// SPDX-License-Identifier: Apache-2.0
// Unix sockets against what /proc/net/unix and fdinfo show of them.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <set>

#include "images/kinds/unix.pb.h"
#include "kinds/unix.h"
#include "oracle/kind_files.h"

using namespace oracle;

namespace {

struct Row {
  unsigned type = 0, state = 0, flags = 0;
  std::string path;
};

// By inode number.
std::map<std::uint64_t, Row> rows(const Target& target) {
  std::map<std::uint64_t, Row> found;
  for (const std::string& line : target.lines("net/unix")) {
    unsigned references, protocol;
    unsigned long number;
    Row row;
    int path = 0;
    if (std::sscanf(line.c_str(), "%*s %x %x %x %x %x %lu %n", &references, &protocol, &row.flags, &row.type,
                    &row.state, &number, &path) < 6)
      continue;
    if (path > 0) row.path = line.substr(static_cast<std::size_t>(path));
    found[number] = row;
  }
  return found;
}

int bound(int type, const std::string& name, bool abstract) {
  const int fd = ::socket(AF_UNIX, type, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + (abstract ? 1 : 0), name.data(), name.size());
  const auto len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + 1);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), len) == 0);
  return fd;
}

}  // namespace

TEST_CASE("unix sockets") {
  const std::string path = "/tmp/bpfckpt-oracle-" + std::to_string(::getpid());
  Target target([&] {
    int pair[2];
    ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    ::dup2(pair[0], 100);
    ::dup2(pair[1], 101);
    for (const char* text : {"one", "three"})
      if (::send(100, text, std::strlen(text), 0) < 0) ::_exit(1);
    ::dup2(bound(SOCK_DGRAM, path, false), 102);
    const std::string name = "bpfckpt-oracle-" + std::to_string(::getpid());
    ::dup2(bound(SOCK_SEQPACKET, name, true), 103);
    ::listen(103, 7);
    ::dup2(::socket(AF_UNIX, SOCK_STREAM, 0), 104);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    ::dup2(::socket(AF_UNIX, SOCK_SEQPACKET, 0), 105);
    ::connect(105, reinterpret_cast<sockaddr*>(&address),
              static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + 1));
    ::unlink(path.c_str());
  });
  const auto known = rows(target);
  std::set<std::uint32_t> seen;
  const bpfckpt::Model model = model_of(target.pid());
  std::map<std::uint32_t, bpfckpt::pb::UnixSocket> sockets;
  for (const auto& entry : model.files.tables(0).entries()) {
    const auto& file = model.files.files(static_cast<int>(entry.file_id()) - 1);
    if (file.kind() != "unix" || entry.fd() < 100 || entry.fd() > 105) continue;
    CAPTURE(entry.fd());
    seen.insert(entry.fd());
    bpfckpt::pb::UnixSocket socket = must(bpfckpt::kinds::unpack_unix(file));
    REQUIRE(known.contains(file.inode().number()));
    const Row& row = known.at(file.inode().number());
    CHECK(row.type == socket.common().type());
    CHECK((row.flags == 0x10000) == socket.listening());
    CHECK((row.state == 3) == (socket.peer_file_id() != 0 || socket.peer_pending()));
    CHECK(row.path.substr(0, row.path.find('\n')).starts_with(bpfckpt::kinds::unix_name_text(socket.name())));
    CHECK(socket.name().empty() == row.path.empty());
    sockets.emplace(entry.fd(), socket);
  }
  REQUIRE(seen.size() == 6);
  REQUIRE(sockets[101].messages_size() == 2);
  CHECK(sockets[101].messages(0).data() == "one");
  CHECK(sockets[101].messages(1).data() == "three");
  CHECK(sockets[100].messages_size() == 0);
  CHECK(sockets[102].node().deleted());
  CHECK(sockets[102].node().path() == path);
  CHECK(sockets[103].backlog() == 7);
  REQUIRE(sockets[103].pending_size() == 1);
  CHECK(sockets[105].peer_pending());
  CHECK(sockets[100].common().peer().pid() == static_cast<std::uint32_t>(target.pid()));
  CHECK_FALSE(sockets[104].common().has_peer());
}
