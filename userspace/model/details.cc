// SPDX-License-Identifier: Apache-2.0
#include "model/details.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <charconv>
#include <unordered_map>
#include <vector>

namespace bpfckpt {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kTypePrefix = "type.googleapis.com/";
constexpr std::string_view kPackage = "bpfckpt.pb.";

bool can_hold_content(const google::protobuf::Descriptor& type, int depth = 0) {
  constexpr int kDeep = 8;  // a type may hold itself
  if (depth == kDeep || &type == pb::Content::descriptor()) return true;
  for (int i = 0; i < type.field_count(); ++i)
    if (const auto* inner = type.field(i)->message_type(); inner && can_hold_content(*inner, depth + 1))
      return true;
  return false;
}

// Most details can hold none, and to walk through a message by reflection costs more than all else that is
// checked of it: only these are walked through.
const std::vector<const FieldDescriptor*>& ways_to_content(const google::protobuf::Descriptor& type) {
  thread_local std::unordered_map<const google::protobuf::Descriptor*, std::vector<const FieldDescriptor*>>
      known;
  auto [it, fresh] = known.try_emplace(&type);
  if (fresh)
    for (int i = 0; i < type.field_count(); ++i)
      if (const auto* inner = type.field(i)->message_type(); inner && can_hold_content(*inner))
        it->second.push_back(type.field(i));
  return it->second;
}

Result<void> visit_contents(const Message& message,
                            const std::function<Result<void>(const pb::Content&)>& visit) {
  const google::protobuf::Descriptor* type = message.GetDescriptor();
  if (type == pb::Content::descriptor()) return visit(static_cast<const pb::Content&>(message));
  const auto* reflection = message.GetReflection();
  for (const auto* field : ways_to_content(*type)) {
    if (!field->is_repeated()) {
      if (reflection->HasField(message, field))
        TRY(visit_contents(reflection->GetMessage(message, field), visit));
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i)
      TRY(visit_contents(reflection->GetRepeatedMessage(message, field, i), visit));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Message>> unpack(const google::protobuf::Any& detail) {
  std::string_view name = detail.type_url();
  const google::protobuf::Descriptor* type = nullptr;
  if (name.starts_with(kTypePrefix)) {
    name.remove_prefix(kTypePrefix.size());
    if (name.starts_with(kPackage))
      type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(name));
  }
  if (type == nullptr)
    return fail(Error::bad_image(fmt::format("detail of unknown type \"{}\"", printable(detail.type_url()))));
  std::unique_ptr<Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!message->ParseFromString(detail.value()))
    return fail(Error::bad_image(fmt::format("detail of type {} cannot be parsed", type->name())));
  return message;
}

Result<void> for_each_content(const google::protobuf::Any& detail,
                              const std::function<Result<void>(const pb::Content&)>& visit) {
  TRY_ASSIGN(auto message, unpack(detail));
  return visit_contents(*message, visit);
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (unsigned char c : text) {
    if (c >= 0x20 && c < 0x7f && c != '\\')
      out += static_cast<char>(c);
    else
      out += fmt::format("\\x{:02x}", c);
  }
  return out;
}

std::string from_printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char c = 0;
    if (text.substr(i).starts_with("\\x") && i + 4 <= text.size() &&
        std::from_chars(text.data() + i + 2, text.data() + i + 4, c, 16).ptr == text.data() + i + 4) {
      out += static_cast<char>(c);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace bpfckpt
