// SPDX-License-Identifier: Apache-2.0
// Damaged and hostile images: whatever the bytes are, the reader gives an error or a model that can be used;
// it never crashes or hangs. Deterministic: a failure names its seed. BPFCKPT_FUZZ_ROUNDS makes it longer
// than seconds.
#include <doctest/doctest.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>

#include "cmd/core.h"
#include "cmd/show.h"
#include "harness/rounds.h"
#include "harness/synthetic_model.h"
#include "image/checksum.h"
#include "image/manifest_file.h"
#include "image/reader.h"

using namespace bpfckpt;
using namespace bpfckpt::synthetic;

namespace {

const char* const kMetadata[] = {"tasks.pb", "memory.pb", "files.pb"};

unsigned fuzz_rounds(unsigned usual) {
  return rounds("BPFCKPT_FUZZ_ROUNDS", usual);
}

std::string load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void store(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// One to four changes: a bit, a byte, a number's worth of bytes, a piece cut out, doubled, or the end cut
// off.
std::string mutate(std::string bytes, std::mt19937& random) {
  auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (auto changes = 1 + below(4); changes > 0 && !bytes.empty(); --changes) {
    std::size_t at = below(bytes.size());
    std::size_t len = std::min<std::size_t>(1 + below(8), bytes.size() - at);
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), len, '\xff');
        break;
      case 3:
        bytes.erase(at, len);
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, len));
        break;
      case 5:
        bytes.resize(at);
        break;
    }
  }
  return bytes;
}

// Changes numbers behind protobuf's back, so that the model parses and only validate() stands in the way.
void mutate_numbers(google::protobuf::Message& message, std::mt19937& random) {
  const auto* reflection = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  if (fields.empty()) return;
  const auto* field = fields[random() % fields.size()];
  constexpr std::uint64_t kNumbers[] = {
      0, 1, 4095, 4096, 0x7fffffff, 0xffffffff, 1ULL << 56, UINT64_MAX - 4095, UINT64_MAX};
  std::uint64_t number = kNumbers[random() % std::size(kNumbers)];
  using Type = google::protobuf::FieldDescriptor;
  int at = field->is_repeated()
               ? static_cast<int>(random() % static_cast<unsigned>(reflection->FieldSize(message, field)))
               : -1;
  switch (field->cpp_type()) {
    case Type::CPPTYPE_MESSAGE:
      mutate_numbers(at < 0 ? *reflection->MutableMessage(&message, field)
                            : *reflection->MutableRepeatedMessage(&message, field, at),
                     random);
      break;
    case Type::CPPTYPE_UINT32:
      if (at < 0)
        reflection->SetUInt32(&message, field, static_cast<std::uint32_t>(number));
      else
        reflection->SetRepeatedUInt32(&message, field, at, static_cast<std::uint32_t>(number));
      break;
    case Type::CPPTYPE_UINT64:
      if (at < 0)
        reflection->SetUInt64(&message, field, number);
      else
        reflection->SetRepeatedUInt64(&message, field, at, number);
      break;
    case Type::CPPTYPE_INT32:
      if (at < 0) reflection->SetInt32(&message, field, static_cast<std::int32_t>(number));
      break;
    case Type::CPPTYPE_INT64:
      if (at < 0) reflection->SetInt64(&message, field, static_cast<std::int64_t>(number));
      break;
    case Type::CPPTYPE_ENUM:
      if (at < 0) reflection->SetEnumValue(&message, field, static_cast<int>(number));
      break;
    case Type::CPPTYPE_STRING:
      if (at < 0) reflection->SetString(&message, field, std::string(random() % 300, 'x'));
      break;
    default:
      break;
  }
}

// Gives a changed file the size and checksum that the manifest says, as an attacker would.
void bless(const TemporaryDirectory& directory, pb::Manifest manifest, const std::string& name,
           const std::string& bytes) {
  for (auto& file : *manifest.mutable_files())
    if (file.name() == name) {
      file.set_size(bytes.size());
      file.set_xxh3(image::checksum_bytes(bytes));
    }
  auto encoded = image::encode_manifest(manifest);
  REQUIRE(encoded.has_value());
  store(directory.file("manifest"), *encoded);
}

// What opens must also print and dump. Returns whether it opened.
bool use(const TemporaryDirectory& directory) {
  auto reader = image::ImageReader::open(directory.path());
  if (!reader) {
    CHECK(!reader.error().message().empty());
    return false;
  }
  CHECK(validate(reader->model()).has_value());
  std::ostringstream out;
  for (bool json : {false, true}) {
    ShowOptions show;
    show.common.images_dir = directory.path();
    show.common.json = json;
    CHECK(run_show(show, out).has_value());
  }
  CoreOptions core{.output_path = directory.file("core")};
  core.common.images_dir = directory.path();
  (void)run_core(core, out);  // a sparse file may be longer than the file system can
  (void)reader->verify_contents(1);
  return true;
}

struct Original {
  TemporaryDirectory directory;
  pb::Manifest manifest;
  Original() {
    google::protobuf::SetLogHandler(nullptr);  // as the program does
    write_checkpoint(directory.path());
    manifest = image::ImageReader::open(directory.path())->manifest();
  }
};

}  // namespace

TEST_CASE("any damage to a file is refused") {
  Original original;
  for (const char* name : {"manifest", "tasks.pb", "memory.pb", "files.pb"}) {
    std::string path = original.directory.file(name), bytes = load(path);
    for (unsigned seed = 0; seed < fuzz_rounds(100); ++seed) {
      CAPTURE(name);
      CAPTURE(seed);
      std::mt19937 random(seed);
      std::string damaged = mutate(bytes, random);
      if (damaged == bytes) continue;
      store(path, damaged);
      CHECK_FALSE(use(original.directory));
    }
    store(path, bytes);
  }
  CHECK(use(original.directory));
}

TEST_CASE("a manifest with a good checksum and bad contents") {
  Original original;
  unsigned opened = 0;
  for (unsigned seed = 0; seed < fuzz_rounds(200); ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    pb::Manifest manifest = original.manifest;
    if (seed % 2 == 0) {
      mutate_numbers(manifest, random);
    } else if (!manifest.ParseFromString(mutate(original.manifest.SerializeAsString(), random))) {
      continue;
    }
    bless(original.directory, manifest, "", "");
    opened += use(original.directory);
  }
  MESSAGE("opened: ", opened);
}

TEST_CASE("metadata with good checksums and changed bytes") {
  Original original;
  unsigned opened = 0;
  for (const char* name : kMetadata) {
    std::string path = original.directory.file(name), bytes = load(path);
    for (unsigned seed = 0; seed < fuzz_rounds(200); ++seed) {
      CAPTURE(name);
      CAPTURE(seed);
      std::mt19937 random(seed);
      std::string changed = mutate(bytes, random);
      store(path, changed);
      bless(original.directory, original.manifest, name, changed);
      opened += use(original.directory);
    }
    store(path, bytes);
  }
  // Some changes make another sound model; if none did, the mutations would be too coarse to test validate().
  CHECK(opened > 0);
}

TEST_CASE("metadata with good checksums and changed numbers") {
  Original original;
  Model model = make_model("pages-1.img", "pages-2.img", "contents.img");
  unsigned opened = 0, refused = 0;
  for (const char* name : kMetadata) {
    const google::protobuf::Message& part =
        name == kMetadata[0]   ? static_cast<google::protobuf::Message&>(model.tasks)
        : name == kMetadata[1] ? static_cast<google::protobuf::Message&>(model.memory)
                               : model.files;
    std::string path = original.directory.file(name), bytes = load(path);
    for (unsigned seed = 0; seed < fuzz_rounds(250); ++seed) {
      CAPTURE(name);
      CAPTURE(seed);
      std::mt19937 random(seed);
      std::unique_ptr<google::protobuf::Message> changed(part.New());
      changed->CopyFrom(part);
      mutate_numbers(*changed, random);
      std::string encoded = changed->SerializeAsString();
      store(path, encoded);
      bless(original.directory, original.manifest, name, encoded);
      (use(original.directory) ? opened : refused) += 1;
    }
    store(path, bytes);
  }
  CHECK(opened > 0);
  CHECK(refused > 0);
}

TEST_CASE("things that are not files") {
  Original original;
  auto replace = [&](const char* name, auto make) {
    std::filesystem::remove(original.directory.file(name));
    make(original.directory.file(name).c_str());
    CAPTURE(name);
    CHECK_FALSE(use(original.directory));
  };
  SUBCASE("a FIFO") {
    replace("pages-1.img", [](const char* path) { REQUIRE(mkfifo(path, 0600) == 0); });
  }
  SUBCASE("a FIFO as manifest") {
    replace("manifest", [](const char* path) { REQUIRE(mkfifo(path, 0600) == 0); });
  }
  SUBCASE("a symbolic link") {
    replace("tasks.pb", [](const char* path) { REQUIRE(symlink("/dev/zero", path) == 0); });
  }
  SUBCASE("a directory") {
    replace("memory.pb", [](const char* path) { REQUIRE(mkdir(path, 0700) == 0); });
  }
}
