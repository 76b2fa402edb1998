// SPDX-License-Identifier: Apache-2.0
// Ring buffers of packet sockets, when all is made.
//
// A new ring is empty and the kernel at its beginning, and no call puts it elsewhere: it goes on by a frame
// with each packet. So the ring gets packets, or sends some, of a protocol that nobody speaks (ETH_P_802_EX1)
// over the loopback device, until the kernel is where it was; then comes the content, and only then is the
// socket bound to what it listens to. With TPACKET_V3 the kernel goes on by a block, which is full, or was
// waited for as long as the program said; the one that it is in then begins empty.
#pragma once

#include <vector>

#include "base/fd.h"
#include "image/reader.h"
#include "images/kinds/packet.pb.h"
#include "model/model.h"

namespace bpfckpt::restore {

// With every process complete, and none of them running. `given`: files that the caller gives.
Result<void> fill_packet_rings(const image::ImageReader& reader, const std::vector<std::uint32_t>& given);

}  // namespace bpfckpt::restore
