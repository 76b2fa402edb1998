// SPDX-License-Identifier: Apache-2.0
// Unix sockets: see unix.cc for what is kept, unix_plan.cc for how they are made again.
#pragma once

#include <string>
#include <string_view>

#include "images/kinds/unix.pb.h"
#include "kinds/kind.h"

namespace bpfckpt::kinds {

inline bool is_abstract(std::string_view name) {
  return !name.empty() && name.front() == '\0';
}
inline bool is_path(std::string_view name) {
  return !name.empty() && name.front() != '\0';
}
// The code of a note: what is in flight to a socket of a running tree, and open nowhere, nobody looks at.
inline constexpr const char* kUnknownInFlight = "in-flight-unknown";

// The name as people write it: "@name" for an abstract one.
std::string unix_name_text(std::string_view name);

// In which directory the relative `name` was bound, if its node is `node_path`; `up` is how many levels below
// that one the process stood. Empty: that cannot be told.
std::string directory_of_relative(std::string_view name, std::string_view node_path, std::size_t& up);

// Error::BadImage where the message is impossible.
Result<pb::UnixSocket> unpack_unix(const pb::File& file);

// The file with that id, which is in flight in the borrowed `carrier`'s own queue; nothing where it is not.
Result<Fd> fetch_in_flight(int fd, const pb::File& carrier, std::uint32_t file_id);

// unix_plan.cc
Result<void> make_unix_group(PlanBuilder& plan, std::span<const pb::File* const> files);

}  // namespace bpfckpt::kinds
