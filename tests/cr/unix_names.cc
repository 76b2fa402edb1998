// SPDX-License-Identifier: Apache-2.0
// Bound sockets: by path, relative path, abstract and kernel-chosen name; their permissions; found again by
// who connects; and a path that was deleted, or deleted and taken by a file.
#include "harness/cr_unix.h"

void cr::test() {
  const std::string base = directory() + "/";
  REQUIRE(::mkdir((base + "sub").c_str(), 0755) == 0);
  const int by_path = listener(SOCK_STREAM, base + "path");
  REQUIRE(::chmod((base + "path").c_str(), 0640) == 0 && ::chown((base + "path").c_str(), 11, 12) == 0);
  REQUIRE(::chdir((base + "sub").c_str()) == 0);
  const int relative = listener(SOCK_SEQPACKET, "relative");
  const int dotted = listener(SOCK_STREAM, "./dotted");
  // From below, as the working directory of a process still shows.
  const int upwards = bound_socket(SOCK_DGRAM, "../upwards");
  const std::string abstract_name = "@bpfckpt-test-" + std::to_string(::getpid());
  const int abstract = listener(SOCK_STREAM, abstract_name);
  const int chosen = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  const sa_family_t family = AF_UNIX;
  REQUIRE(::bind(chosen, reinterpret_cast<const sockaddr*>(&family), sizeof family) == 0);
  const std::string chosen_name = own_name(chosen);
  const int deleted = listener(SOCK_STREAM, base + "deleted");
  REQUIRE(::unlink((base + "deleted").c_str()) == 0);
  const int replaced = bound_socket(SOCK_DGRAM, base + "replaced");
  REQUIRE(::unlink((base + "replaced").c_str()) == 0);
  make_file("replaced", "a file");
  const int renamed = listener(SOCK_STREAM, base + "old");
  REQUIRE(::rename((base + "old").c_str(), (base + "new").c_str()) == 0);
  checkpoint_here();
  CHECK_EQ(own_name(by_path), base + "path");
  CHECK_EQ(own_name(relative), "relative");
  CHECK_EQ(own_name(dotted), "./dotted");
  CHECK_EQ(own_name(upwards), "../upwards");
  CHECK_EQ(own_name(abstract), abstract_name);
  CHECK_EQ(own_name(chosen), chosen_name);
  CHECK_EQ(own_name(deleted), base + "deleted");
  CHECK_EQ(own_name(renamed), base + "old");
  CHECK_EQ(own_name(replaced), base + "replaced");
  struct stat facts{};
  CHECK(::stat((base + "path").c_str(), &facts) == 0 && S_ISSOCK(facts.st_mode));
  CHECK_EQ(facts.st_mode & 07777, 0640U);
  CHECK_EQ(facts.st_uid, 11U);
  CHECK_EQ(facts.st_gid, 12U);
  CHECK(::stat((base + "deleted").c_str(), &facts) != 0);
  CHECK(::stat((base + "replaced").c_str(), &facts) == 0 && S_ISREG(facts.st_mode));
  auto talk = [&](int listening, int type, const std::string& name) {
    const int client = client_of(type, name);
    const int server = ::accept(listening, nullptr, nullptr);
    REQUIRE(server >= 0);
    send_text(client, "hello");
    CHECK_EQ(receive_text(server), "hello");
  };
  talk(by_path, SOCK_STREAM, base + "path");
  CHECK(::stat((base + "old").c_str(), &facts) != 0);
  talk(renamed, SOCK_STREAM, base + "new");
  talk(dotted, SOCK_STREAM, base + "sub/dotted");
  talk(relative, SOCK_SEQPACKET, base + "sub/relative");
  talk(abstract, SOCK_STREAM, abstract_name);
  const int sender = client_of(SOCK_DGRAM, base + "upwards");
  send_text(sender, "up");
  CHECK_EQ(receive_text(upwards), "up");
}
