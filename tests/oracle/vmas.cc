// SPDX-License-Identifier: Apache-2.0
// Mappings against /proc/PID/maps and smaps.
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "oracle/target.h"

using namespace oracle;

namespace {

struct MapsLine {
  std::uint64_t start, end, offset, inode;
  std::string permissions, path;
  dev_t device;
};

std::vector<MapsLine> maps_of(const Target& target) {
  std::vector<MapsLine> maps;
  for (const std::string& line : target.lines("maps")) {
    MapsLine it;
    char permissions[5];
    unsigned major, minor;
    int path_at = 0;
    unsigned long start, end, offset, inode;
    REQUIRE(std::sscanf(line.c_str(), "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, permissions, &offset,
                        &major, &minor, &inode, &path_at) == 7);
    it = {start,
          end,
          offset,
          inode,
          permissions,
          line.substr(static_cast<std::size_t>(path_at)),
          makedev(major, minor)};
    if (it.path != "[vsyscall]") maps.push_back(it);
  }
  return maps;
}

std::string permissions(const bpfckpt::pb::Vma& vma) {
  std::string text = "---p";
  if (vma.flags() & 1) text[0] = 'r';
  if (vma.flags() & 2) text[1] = 'w';
  if (vma.flags() & 4) text[2] = 'x';
  if (vma.flags() & 0x80) text[3] = 's';
  return text;
}

void compare(const Target& target) {
  auto model = model_of(target.pid());
  bpfckpt::ModelIndex index(model);
  const auto maps = maps_of(target);
  const auto* process = index.process(static_cast<std::uint32_t>(target.pid()));
  REQUIRE(process != nullptr);
  const auto* space = index.address_space(process->mm_id());
  REQUIRE(space != nullptr);
  REQUIRE(space->vmas_size() == static_cast<int>(maps.size()));
  for (int i = 0; i < space->vmas_size(); ++i) {
    const auto& vma = space->vmas(i);
    const auto& line = maps[static_cast<std::size_t>(i)];
    CAPTURE(line.path);
    CAPTURE(line.start);
    CHECK(vma.start() == line.start);
    CHECK(vma.end() == line.end);
    CHECK(permissions(vma) == line.permissions);
    if (vma.kind() == bpfckpt::pb::SPECIAL) CHECK(vma.name() == line.path);
    if (line.inode == 0) {
      CHECK(vma.file_id() == 0);
      continue;
    }
    const auto* file = index.file(vma.file_id());
    REQUIRE(file != nullptr);
    CHECK(vma.file_offset() == line.offset);
    CHECK(file->inode().number() == line.inode);
    CHECK(file->inode().device() == line.device);
    std::string path = file->path().path();
    if (file->path().deleted() || file->kind() == "shmem") path += " (deleted)";
    CHECK(path == line.path);
  }
}

}  // namespace

TEST_CASE("every mapping, as /proc/PID/maps shows it") {
  Target target([] {
    const long page = ::sysconf(_SC_PAGESIZE);
    ::mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    int memfd = ::memfd_create("named", 0);
    ::ftruncate(memfd, 4 * page);
    ::mmap(nullptr, page, PROT_READ, MAP_SHARED, memfd, 2 * page);
    int file = ::open("/proc/self/exe", O_RDONLY);
    ::mmap(nullptr, page, PROT_READ, MAP_SHARED, file, page);  // opened for reading: VM_SHARED is not set
    char name[] = "/tmp/oracle-XXXXXX";
    int gone = ::mkstemp(name);
    ::ftruncate(gone, page);
    ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, gone, 0);
    ::unlink(name);
  });
  compare(target);
}

TEST_CASE("ten thousand mappings") {
  Target target([] {
    const long page = ::sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 10000; ++i)
      ::mmap(nullptr, page, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  });
  compare(target);
}

TEST_CASE("flags, as smaps shows them, and the sizes of the kernel's own mappings") {
  Target target([] {
    const long page = ::sysconf(_SC_PAGESIZE);
    char* area = static_cast<char*>(
        ::mmap(nullptr, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::madvise(area, page, MADV_DONTFORK);
    ::madvise(area + 2 * page, page, MADV_DONTDUMP);
    ::madvise(area + 4 * page, page, MADV_WIPEONFORK);
    ::mlock2(area + 6 * page, page, MLOCK_ONFAULT);
  });
  const std::map<std::string, std::uint64_t> bits = {
      {"rd", 1},        {"wr", 2},        {"ex", 4},         {"sh", 8},        {"mr", 0x10},
      {"mw", 0x20},     {"me", 0x40},     {"ms", 0x80},      {"gd", 0x100},    {"pf", 0x400},
      {"lo", 0x2000},   {"io", 0x4000},   {"dc", 0x20000},   {"de", 0x40000},  {"lf", 0x80000},
      {"ac", 0x100000}, {"nr", 0x200000}, {"wf", 0x2000000}, {"dd", 0x4000000}};
  std::uint64_t known = 0;
  for (const auto& [name, bit] : bits) known |= bit;
  std::map<std::uint64_t, std::uint64_t> expected;
  std::uint64_t start = 0;
  for (const std::string& line : target.lines("smaps")) {
    unsigned long at, end;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &at, &end) == 2) start = at;
    if (!line.starts_with("VmFlags:")) continue;
    std::istringstream words(line.substr(8));
    for (std::string word; words >> word;)
      if (auto bit = bits.find(word); bit != bits.end())
        expected[start] |= bit->second;
      else if (word == "??")  // 6.1 has no letters for that one
        known &= ~bits.at("lf");
  }
  auto model = model_of(target.pid());
  std::uint64_t seen = 0;
  for (const auto& vma : model.memory.address_spaces(0).vmas()) {
    CHECK((vma.flags() & known) == expected[vma.start()]);
    seen |= vma.flags();
  }
  CHECK((seen & 0x60a0000) == 0x60a0000);  // the target's own: DONTCOPY, LOCKONFAULT, WIPEONFORK, DONTDUMP

  auto collector = must(bpfckpt::Collector::open());
  std::map<std::string, std::uint64_t> own;
  for (const auto& mapping : must(collector.own_special_mappings()))
    own[mapping.name] = mapping.end - mapping.start;
  CHECK(own.contains("[vdso]"));
  for (const auto& vma : model.memory.address_spaces(0).vmas())
    if (vma.kind() == bpfckpt::pb::SPECIAL) CHECK(own[vma.name()] == vma.end() - vma.start());
}
