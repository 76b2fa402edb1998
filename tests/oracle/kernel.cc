// SPDX-License-Identifier: Apache-2.0
// Features, and the cache of programs in bpffs.
// ctest-serial: 1
#include "kernel/features.h"

#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "kernel/bpffs.h"
#include "kernel/cpu.h"
#include "oracle/target.h"

using namespace oracle;

TEST_CASE("the required features are there, and the CPU is described in whole leaves") {
  for (const auto& feature : bpfckpt::kernel::features()) {
    const auto presence = feature.probe();
    if (feature.required()) CHECK_MESSAGE(presence.there, feature.name << ": " << presence.detail);
  }
  const auto cpu = bpfckpt::kernel::cpu_features();
  CHECK_FALSE(cpu.cpuid.empty());
  CHECK(cpu.cpuid.size() % 6 == 0);
  CHECK(cpu.xsave_size >= 576);  // legacy area and header
}

TEST_CASE("programs are taken from the cache, removed, and loaded again") {
  must(bpfckpt::kernel::remove_pins());
  CHECK_FALSE(must(bpfckpt::Collector::open()).from_cache());
  CHECK(must(bpfckpt::Collector::open()).from_cache());
  CHECK_FALSE(must(bpfckpt::Collector::open({.use_cache = false})).from_cache());
  {
    auto directory = must(bpfckpt::kernel::PinDirectory::open());
    struct stat facts;
    REQUIRE(::fstat(directory.fd(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0700);
    // Open to others: not used, though the collector works.
    REQUIRE(::fchmod(directory.fd(), 0755) == 0);
    CHECK_FALSE(bpfckpt::kernel::PinDirectory::open().has_value());
    CHECK_FALSE(must(bpfckpt::Collector::open()).from_cache());
    REQUIRE(::fchmod(directory.fd(), 0700) == 0);
  }
  CHECK(must(bpfckpt::kernel::remove_pins()) >= 5);  // more where another build ran
}

TEST_CASE("readers that share the programs do not disturb each other") {
  Target target([] {
    for (int i = 0; i < 2000; ++i) ::open("/dev/null", O_RDONLY);
  });
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 6; ++i)
    readers.emplace_back([&] {
      auto collector = bpfckpt::Collector::open();
      const pid_t pid = target.pid();
      for (int round = 0; round < 20; ++round) {
        auto records = collector->collect(std::span(&pid, 1));
        int files = 0;
        if (records)
          (void)records->for_each([&](const record_head& head) -> bpfckpt::Result<void> {
            auto file = bpfckpt::collect::as<file_record>(head);
            // The name and the path of a record are read apart: they must be of one file.
            if (head.type == RECORD_FILE && std::string_view(file->name) == "null")
              bpfckpt::collect::path_string(*file) == "/dev/null" ? ++files : ++wrong;
            return {};
          });
        if (files < 2000) ++wrong;
      }
    });
  for (auto& reader : readers) reader.join();
  CHECK(wrong == 0);
}
