// SPDX-License-Identifier: Apache-2.0
// Every kind of the registry is given details that are not its own: another kind's, none, or bytes that are
// no message. It refuses them, or has no use for details at all; and whatever a damaged message says, it is
// planned or refused, and nothing else.
#include <doctest/doctest.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <set>

#include "harness/kind_plan.h"
#include "harness/synthetic_model.h"
#include "images/kinds/eventfd.pb.h"
#include "restore/planner.h"

using namespace bpfckpt;
namespace protobuf = google::protobuf;

namespace {

// Found by their path, or given by the caller.
const std::set<std::string_view> kNoDetails = {"chardev", "blockdev", "tty"};

class Machine : public kind_plan::EmptyMachine {
 public:
  bool path_exists(const std::string& path) const override { return path == "/" || path == "/tmp"; }
  std::vector<SpecialMapping> special_mappings() const override {
    return {{"[vdso]", 0x7ffd00100000, 0x7ffd00102000}};
  }
  int caller_terminal() const override { return 0; }
};

// What a restore makes of a tree in which a process has such a file.
Result<Plan> planned(std::string_view kind, const protobuf::Any* file_detail,
                     const protobuf::Any* object_detail) {
  Model model = synthetic::make_model("pages-1.img", "pages-2.img", "contents.img");
  model.tasks.mutable_processes(0)->set_sid(100);
  const std::string name(kind);
  pb::File& file = synthetic::add_file(model, 7, name.c_str(), "/tmp/it", 0100002);
  file.mutable_path()->set_deleted(object_detail != nullptr);
  if (file_detail != nullptr) *file.mutable_detail() = *file_detail;
  if (object_detail != nullptr) {
    file.set_object_id(4);
    pb::FileObject& object = *model.files.add_objects();
    object.set_id(4);
    object.set_kind(name);
    *object.mutable_detail() = *object_detail;
  }
  synthetic::add_fd(*model.files.mutable_tables(0), 21, 7);
  TRY(validate(model));
  return restore::make_plan(model, {.shell_job = true}, Machine());
}

protobuf::Any packed(const protobuf::Message& message) {
  protobuf::Any any;
  any.PackFrom(message);
  return any;
}

// Every message that a kind has, by the schemas.
std::vector<const protobuf::Descriptor*> messages_of_kinds() {
  std::vector<const protobuf::Descriptor*> all;
  for (const auto& entry : std::filesystem::directory_iterator(BPFCKPT_TESTS_DIR "/../images/kinds")) {
    const auto* schema = protobuf::DescriptorPool::generated_pool()->FindFileByName(
        "images/kinds/" + entry.path().filename().string());
    REQUIRE_MESSAGE(schema != nullptr, entry.path().string());
    for (int i = 0; i < schema->message_type_count(); i++) all.push_back(schema->message_type(i));
  }
  std::ranges::sort(all, {}, [](const auto* type) { return type->full_name(); });
  return all;
}

// Fills a message with what no dump says: numbers at the edges and anywhere, lists, texts that are none.
class Damage {
 public:
  explicit Damage(unsigned seed) : random_(seed) {}

  void fill(protobuf::Message& message, int depth) {
    const protobuf::Descriptor& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); i++) {
      const protobuf::FieldDescriptor& field = *type.field(i);
      if (one_of(3) == 0) continue;
      const unsigned count = field.is_repeated() ? one_of(4) : 1;
      for (unsigned k = 0; k < count; k++) set(message, field, depth);
    }
  }

 private:
  unsigned one_of(unsigned count) { return static_cast<unsigned>(random_()) % count; }
  std::uint64_t number() {
    static constexpr std::uint64_t kEdges[] = {0,       1,          2,          4,          7,
                                               100,     4095,       4096,       0x7fffffff, 0x80000000,
                                               1 << 20, 0xffffffff, 1ull << 32, 1ull << 63, ~0ull};
    return one_of(5) == 0 ? random_() : kEdges[one_of(std::size(kEdges))];
  }
  // Only `bytes` may be no UTF-8.
  std::string text(bool bytes) {
    static const std::string kTexts[] = {"",
                                         "/",
                                         "/tmp",
                                         "/tmp/..",
                                         std::string("/a\0b", 4),
                                         "../../x",
                                         "net",
                                         "1234",
                                         std::string(5000, 'x'),
                                         std::string(4, '\0'),
                                         std::string(16, '\xff')};
    return kTexts[one_of(std::size(kTexts) - (bytes ? 0 : 1))];
  }

  void set(protobuf::Message& message, const protobuf::FieldDescriptor& field, int depth) {
    const protobuf::Reflection& at = *message.GetReflection();
    const bool list = field.is_repeated();
    using Field = protobuf::FieldDescriptor;
    switch (field.cpp_type()) {
      case Field::CPPTYPE_UINT64:
        return list ? at.AddUInt64(&message, &field, number()) : at.SetUInt64(&message, &field, number());
      case Field::CPPTYPE_INT64: {
        const auto value = static_cast<std::int64_t>(number());
        return list ? at.AddInt64(&message, &field, value) : at.SetInt64(&message, &field, value);
      }
      case Field::CPPTYPE_UINT32: {
        const auto value = static_cast<std::uint32_t>(number());
        return list ? at.AddUInt32(&message, &field, value) : at.SetUInt32(&message, &field, value);
      }
      case Field::CPPTYPE_INT32: {
        const auto value = static_cast<std::int32_t>(number());
        return list ? at.AddInt32(&message, &field, value) : at.SetInt32(&message, &field, value);
      }
      case Field::CPPTYPE_BOOL:
        return list ? at.AddBool(&message, &field, one_of(2)) : at.SetBool(&message, &field, one_of(2));
      case Field::CPPTYPE_ENUM: {
        const auto value = static_cast<int>(one_of(12));
        return list ? at.AddEnumValue(&message, &field, value) : at.SetEnumValue(&message, &field, value);
      }
      case Field::CPPTYPE_STRING: {
        const std::string value = text(field.type() == Field::TYPE_BYTES);
        return list ? at.AddString(&message, &field, value) : at.SetString(&message, &field, value);
      }
      case Field::CPPTYPE_MESSAGE:
        if (depth > 0)
          fill(list ? *at.AddMessage(&message, &field) : *at.MutableMessage(&message, &field), depth - 1);
        return;
      default:
        FAIL("a field of a type that no schema used: ", field.full_name());
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

TEST_CASE("details of another type are refused by every kind") {
  const protobuf::Any other = packed(pb::Extent());
  for (const kinds::Kind* kind : kinds::all()) {
    CAPTURE(kind->name);
    auto alone = planned(kind->name, &other, nullptr);
    CHECK(alone.has_value() == kNoDetails.contains(kind->name));
    auto with_object = planned(kind->name, &other, &other);
    CHECK(with_object.has_value() == (kind->name == "tty"));
    for (const auto* result : {&alone, &with_object})
      if (!*result) CHECK_MESSAGE(result->error().code() == Error::Code::BadImage, result->error().message());
  }
}

TEST_CASE("bytes that are no message are refused by every kind") {
  for (const kinds::Kind* kind : kinds::all())
    for (const protobuf::Descriptor* type : messages_of_kinds()) {
      CAPTURE(kind->name);
      CAPTURE(type->full_name());
      protobuf::Any damaged;
      damaged.set_type_url("type.googleapis.com/" + type->full_name());
      damaged.set_value("\x0f\xff\xff\xff");
      auto result = planned(kind->name, &damaged, &damaged);
      REQUIRE_FALSE(result.has_value());
      CHECK_MESSAGE(result.error().code() == Error::Code::BadImage, result.error().message());
    }
}

TEST_CASE("whatever a kind's message says, it is planned or refused") {
  constexpr unsigned kRounds = 200;
  protobuf::DynamicMessageFactory factory;
  const auto types = messages_of_kinds();
  const protobuf::Any other = packed(pb::Extent());
  std::set<std::string_view> without;
  for (const kinds::Kind* kind : kinds::all()) {
    CAPTURE(kind->name);
    std::size_t own = 0, refused = 0;
    for (const protobuf::Descriptor* type : types)
      for (const int place : {1, 2, 3}) {  // the file's, its object's, or both
        // A message that makes no difference is none of the kind's.
        auto outcome = [&](const protobuf::Any& detail) {
          auto result = planned(kind->name, place & 1 ? &detail : nullptr, place & 2 ? &detail : nullptr);
          if (!result) refused++;
          return result ? "planned" : result.error().message();
        };
        const protobuf::Message& empty = *factory.GetPrototype(type);
        if (outcome(packed(empty)) == outcome(other)) continue;
        own++;
        for (unsigned seed = 0; seed < kRounds; seed++) {
          CAPTURE(seed);
          std::unique_ptr<protobuf::Message> message(empty.New());
          Damage(seed).fill(*message, 3);
          CHECK_FALSE(outcome(packed(*message)).empty());
        }
      }
    if (own == 0) without.insert(kind->name);
    CHECK_MESSAGE((own == 0 || refused > 0), own);
  }
  // These have no details, or no dump takes them; those of AIO rings are in the address space.
  std::set<std::string_view> known = kNoDetails;
  known.insert(
      {"unsupported", "aio", "bpf_other", "landlock", "perf_event", "seccomp_notify", "socket_other"});
  known.erase("chardev");   // the deleted ones
  known.erase("blockdev");  // likewise
  for (const kinds::Kind* kind : kinds::all())
    CHECK_MESSAGE(without.contains(kind->name) == known.contains(kind->name), kind->name);
}
