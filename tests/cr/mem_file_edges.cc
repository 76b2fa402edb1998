// SPDX-License-Identifier: Apache-2.0
// Mappings at odd places of files: beyond 4 GiB, over a hole, longer than the file, of a file that was
// truncated since, and one that was opened for reading only.
#include "harness/cr_memory.h"

void cr::test() {
  constexpr off_t kFar = (5LL << 30) + 3 * kPage;
  const int sparse = make_file("sparse");
  REQUIRE(::pwrite(sparse, "far", 3, kFar) == 3);
  char* far = map(2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, sparse, kFar);
  char* hole = map(4 * kPage, PROT_READ, MAP_SHARED, sparse, 1 << 20);
  const int cut = make_file("cut", std::string(10 * kPage, 'c'));
  char* truncated = map(10 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, cut);
  fill(truncated + 2 * kPage, 2);
  fill(truncated + 8 * kPage, 8);
  REQUIRE(::ftruncate(cut, 5 * kPage) == 0);  // takes the changed page 8 away as well
  const int read_only = ::open((directory() + "/cut").c_str(), O_RDONLY);
  char* readable_only = map(kPage, PROT_READ, MAP_SHARED, read_only);
  ::close(sparse);
  ::close(read_only);
  checkpoint_here();
  CHECK_EQ(std::string(far, 3), "far");
  far[kPage - 1] = '!';
  CHECK(zero(hole));
  CHECK(filled(truncated + 2 * kPage, 2));
  CHECK_EQ(truncated[4 * kPage], 'c');
  CHECK(readable(truncated + 4 * kPage) && !readable(truncated + 8 * kPage));
  CHECK_EQ(readable_only[0], 'c');
  CHECK(::mprotect(readable_only, kPage, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
}
