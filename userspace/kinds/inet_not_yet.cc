// SPDX-License-Identifier: Apache-2.0
// Sockets of the Internet families and packet sockets, which cannot be taken yet: refused by name.
#include "bpf/kinds/socket.h"
#include "bpf/records.h"
#include "kinds/kind.h"
#include "kinds/objects.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {
namespace {

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const socket_record* part = socket_record_of(record);
  if (part == nullptr) return fail(Error::bug("a socket without its record"));
  pb::Socket socket;
  describe_socket(*part, socket);
  pack(socket, *file.mutable_detail());
  return {};
}

Result<void> plan(PlanBuilder&, const pb::File& file, const pb::FileObject*) {
  return fail(Error::bad_image(fmt::format("a file of kind {}, which no dump takes", file.kind())));
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  return {Verdict::Unsupported, "socket-" + file.kind(),
          fmt::format("{} sockets are not supported yet", file.kind()), ""};
}

constexpr std::string_view kNotYet = "always; not supported yet";

}  // namespace

extern const Kind kPacket = {.name = "packet",
                             .kept = "nothing: a packet socket",
                             .not_kept = "everything",
                             .refused = kNotYet,
                             .describe = describe,
                             .plan = plan,
                             .diagnose = diagnose};

}  // namespace bpfckpt::kinds
