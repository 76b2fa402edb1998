// SPDX-License-Identifier: Apache-2.0
// What an image may say of a namespace, and what it may not.
#include <doctest/doctest.h>
#include <fcntl.h>

#include "harness/kind_plan.h"
#include "images/kinds/nsfs.pb.h"

using namespace bpfckpt;
using kind_plan::file_with;
using kind_plan::text_of;

TEST_CASE("a namespace is of a known type") {
  pb::NamespaceFile ns;
  ns.set_type("net");
  pb::File file = file_with("nsfs", ns, O_RDONLY);
  file.mutable_path()->set_path("net:[4026531840]");
  CHECK(text_of(file).find("\"/proc/self/ns/net\"") != std::string::npos);
  file.mutable_path()->set_path("/run/netns/blue");
  CHECK(text_of(file).find("\"/run/netns/blue\"") != std::string::npos);
  ns.set_outside(true);
  file.mutable_detail()->PackFrom(ns);
  CHECK(text_of(file).starts_with("bad image: namespace: "));
  ns.set_outside(false);
  ns.set_type("../../../etc/passwd");
  file.mutable_detail()->PackFrom(ns);
  CHECK(text_of(file).starts_with("bad image: namespace: "));
}
