// SPDX-License-Identifier: Apache-2.0
#include "image/manifest_file.h"

#include <cstring>

#include "image/checksum.h"
#include "image/file_io.h"

namespace bpfckpt::image {
namespace {

struct Header {
  char magic[8];
  std::uint32_t format_version;  // of the checkpoint; also in the message, but this one can always be read
  std::uint32_t header_len_bytes;
  std::uint64_t message_len_bytes;
  std::uint64_t checksum;  // of the message
};
static_assert(sizeof(Header) == 32);
static_assert(std::endian::native == std::endian::little, "the header is little-endian");

constexpr char kMagic[8] = {'B', 'P', 'F', 'C', 'K', 'P', 'T', '\n'};
constexpr std::uint64_t kMaxMessageLen = 16 << 20;

}  // namespace

Result<std::string> encode_manifest(const pb::Manifest& manifest) {
  std::string message;
  if (!manifest.SerializeToString(&message) || message.size() > kMaxMessageLen)
    return fail(Error::bug("manifest cannot be encoded"));
  Header header{.magic = {},
                .format_version = kFormatVersion,
                .header_len_bytes = sizeof(Header),
                .message_len_bytes = message.size(),
                .checksum = checksum_bytes(message)};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  std::string file(reinterpret_cast<const char*>(&header), sizeof(header));
  return file + message;
}

Result<pb::Manifest> read_manifest_file(int fd) {
  TRY_ASSIGN(std::string file, read_whole_file(fd, sizeof(Header) + kMaxMessageLen));
  Header header;
  if (file.size() < sizeof(header)) return fail(Error::bad_image("too short"));
  std::memcpy(&header, file.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) return fail(Error::bad_image("not a manifest"));
  if (header.format_version != kFormatVersion)
    return fail(Error::bad_image(fmt::format("format version {}; this program reads version {}",
                                             header.format_version, kFormatVersion)));
  if (header.header_len_bytes != sizeof(header) || header.message_len_bytes != file.size() - sizeof(header))
    return fail(Error::bad_image("wrong length"));
  std::string_view message = std::string_view(file).substr(sizeof(header));
  if (checksum_bytes(message) != header.checksum) return fail(Error::bad_image("damaged: wrong checksum"));
  pb::Manifest manifest;
  if (!manifest.ParseFromArray(message.data(), static_cast<int>(message.size())))
    return fail(Error::bad_image("cannot be parsed"));
  if (manifest.format_version() != kFormatVersion) return fail(Error::bad_image("format versions disagree"));
  return manifest;
}

}  // namespace bpfckpt::image
