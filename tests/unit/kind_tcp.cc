// SPDX-License-Identifier: Apache-2.0
// What is said of TCP sockets: an option is told only where it helps.
#include <doctest/doctest.h>

#include <cerrno>

#include "harness/kind_plan.h"
#include "images/kinds/tcp.pb.h"
#include "kinds/policy.h"
#include "kinds/tcp.h"

using namespace bpfckpt;

namespace {

kinds::Finding judged(const pb::Tcp& tcp, const DumpPolicy& policy = {}) {
  return kinds::find("tcp")->diagnose(kind_plan::file_with("tcp", tcp), nullptr, policy);
}

pb::Tcp connection() {
  pb::Tcp tcp;
  tcp.set_state(1);  // TCP_ESTABLISHED
  return tcp;
}

}  // namespace

TEST_CASE("a connection needs one of two options") {
  CHECK(judged(connection()).code == "tcp-established");
  CHECK(judged(connection(), {.tcp_established = true}).verdict == kinds::Verdict::Ok);
  CHECK(judged(connection(), {.tcp_close = true}).verdict == kinds::Verdict::Ok);
}

TEST_CASE("what no option helps against is said first") {
  pb::Tcp failed = connection();
  failed.mutable_common()->set_error(EHOSTUNREACH);
  pb::Tcp urgent = connection();
  urgent.set_urgent(true);
  pb::Tcp ended;
  ended.set_state(kinds::kTcpClose);
  ended.mutable_common()->set_shutdown(3);
  ended.mutable_common()->set_error(ETIMEDOUT);
  ended.set_unaccepted(1);
  for (const auto& [tcp, code] :
       {std::pair(failed, "tcp-error"), std::pair(urgent, "tcp-urgent"), std::pair(ended, "tcp-error")})
    for (const DumpPolicy& policy :
         {DumpPolicy{}, DumpPolicy{.tcp_established = true}, DumpPolicy{.skip_in_flight = true}}) {
      CHECK(judged(tcp, policy).code == code);
      CHECK(judged(tcp, policy).verdict == kinds::Verdict::Unsupported);
    }
}

TEST_CASE("a connection that was reset is taken with its error") {
  pb::Tcp ended;
  ended.set_state(kinds::kTcpClose);
  ended.mutable_common()->set_shutdown(3);
  ended.mutable_common()->set_error(ECONNRESET);
  CHECK(judged(ended).verdict == kinds::Verdict::Ok);
}
