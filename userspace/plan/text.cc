// SPDX-License-Identifier: Apache-2.0
// The plan as text: `restore --plan` prints it, golden tests compare it, errors quote a line of it.

#include <fmt/format.h>

#include "base/syscall_name.h"
#include "plan/plan.h"

namespace bpfckpt {
namespace {

std::string data_text(const Plan& plan, const DataBlock& block) {
  bool printable = block.fixups.empty() && !block.bytes.empty() && block.bytes.back() == std::byte{0} &&
                   block.bytes.size() > 1 && block.bytes.size() < 4096;
  for (std::size_t i = 0; printable && i + 1 < block.bytes.size(); i++) {
    auto c = std::to_integer<unsigned char>(block.bytes[i]);
    printable = c >= 0x20 && c < 0x7f;
  }
  if (printable) return fmt::format("\"{}\"", reinterpret_cast<const char*>(block.bytes.data()));
  (void)plan;
  return fmt::format("[{} bytes]", block.bytes.size());
}

std::string operand_text(const Plan& plan, const Operand& operand) {
  auto value = static_cast<std::int64_t>(operand.value);
  switch (operand.type) {
    case Operand::Type::Value:
      return value > -4096 && value < 65536 ? fmt::format("{}", value) : fmt::format("{:#x}", operand.value);
    case Operand::Type::Result:
      return value == 0 ? fmt::format("#{}", operand.index) : fmt::format("#{}{:+}", operand.index, value);
    case Operand::Type::Data: {
      std::string text = data_text(plan, plan.data[operand.index]);
      return value == 0 ? text : fmt::format("{}+{}", text, value);
    }
    case Operand::Type::Field:
    case Operand::Type::Wide:
      return fmt::format("d{}[{}]", operand.index, value);
  }
  return "?";
}

const char* code_name(Op::Code code) {
  switch (code) {
    case Op::Code::Call:
      return "call";
    case Op::Code::Add:
      return "add";
    case Op::Code::Repeat:
      return "repeat";
    case Op::Code::Fork:
      return "fork";
    case Op::Code::Thread:
      return "thread";
    case Op::Code::Pull:
      return "pull";
    case Op::Code::Fetch:
      return "fetch";
    case Op::Code::OpenImage:
      return "open-image";
    case Op::Code::Reopen:
      return "reopen";
    case Op::Code::OpenMapping:
      return "open-mapping";
    case Op::Code::DeadProcess:
      return "dead-process";
    case Op::Code::Unfilter:
      return "unfilter";
    case Op::Code::FillPages:
      return "fill-pages";
    case Op::Code::Checksum:
      return "checksum";
    case Op::Code::ExitThread:
      return "exit-thread";
    case Op::Code::Exit:
      return "exit";
  }
  return "?";
}

}  // namespace

std::string to_text(const Plan& plan, OpId id) {
  const Op& op = plan.ops[id];
  std::string line =
      op.actor == kSelf ? fmt::format("#{} bpfckpt: ", id) : fmt::format("#{} {}: ", id, op.actor);
  line += op.code == Op::Code::Call ? syscall_name(op.number) : code_name(op.code);
  line += '(';
  for (unsigned i = 0; i < op.arg_count; i++) {
    if (i != 0) line += ", ";
    line += operand_text(plan, op.args[i]);
  }
  line += ')';
  if (op.may_fail) line += " or not";
  if (*op.note != 0 && op.subject != 0)
    line += fmt::format("  ; {} {}", op.note, op.subject);
  else if (*op.note != 0)
    line += fmt::format("  ; {}", op.note);
  return line;
}

std::string to_text(const Plan& plan) {
  std::string text;
  for (const Phase& phase : plan.phases) {
    text += fmt::format("{}{}\n", phase.name, phase.ordered ? " (in order)" : "");
    for (OpId op = phase.first; op < phase.end; op++) text += "  " + to_text(plan, op) + "\n";
  }
  return text;
}

}  // namespace bpfckpt
