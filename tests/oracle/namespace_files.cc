// SPDX-License-Identifier: Apache-2.0
// Descriptors of namespaces against /proc/PID/ns.
#include <sys/stat.h>

#include "images/kinds/nsfs.pb.h"
#include "oracle/kind_files.h"

using namespace oracle;

TEST_CASE("namespaces") {
  Target target([] {
    int fd = 100;
    for (const char* type : {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"})
      ::dup2(::open((std::string("/proc/self/ns/") + type).c_str(), O_RDONLY), fd++);
  });
  for_each<bpfckpt::pb::NamespaceFile>(target, "nsfs", [&](const auto& ns, Fields& fields) {
    struct stat facts;
    REQUIRE(::stat(target.proc("ns/" + ns.type()).c_str(), &facts) == 0);
    CHECK(facts.st_ino == std::stoul(fields["ino"]));
    CHECK_FALSE(ns.outside());
  });
}
