// SPDX-License-Identifier: Apache-2.0
// main() of the doctest suites: turns skips into exit status 77, and a filter that matches nothing into a
// failure.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <set>
#include <string>

#include "harness/skip.h"

namespace {

struct Outcome {
  std::mutex lock;
  std::set<std::string> missing;
  unsigned ran = 0;
};

Outcome& outcome() {
  static Outcome instance;
  return instance;
}

// doctest tells how many cases passed the filters only to its listeners.
struct CountRun : doctest::IReporter {
  explicit CountRun(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    outcome().ran = stats.numTestCasesPassingFilters;
  }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("count_run", 1, CountRun);

}  // namespace

namespace harness {

void note_skip(const std::string& feature) {
  std::lock_guard guard(outcome().lock);
  outcome().missing.insert(feature);
}

}  // namespace harness

int main(int argc, char** argv) {
  // What a test driver left open (ctest its log, which grows) would be compared as part of our own children.
  ::close_range(3, ~0U, 0);
  doctest::Context context(argc, argv);
  const int status = context.run();
  if (context.shouldExit() || status != 0) return status;
  if (outcome().ran == 0) {
    std::puts("no test case matches the filter");
    return 1;
  }
  if (outcome().missing.empty()) return 0;
  for (const std::string& feature : outcome().missing) std::printf("SKIP: %s\n", feature.c_str());
  return 77;
}
