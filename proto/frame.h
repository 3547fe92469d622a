// The envelope of every message on a link, sealed and opened without protobuf objects: a Frame of proto/wire.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace detent {

inline constexpr uint32_t kProtocolVersion = 2;
inline constexpr uint32_t kMaxSignal = 4 * 1024 * 1024 + 128 * 1024;  // bytes; holds a body of 4 MiB and its head
inline constexpr uint32_t kMaxFrame = 8 * 1024 * 1024;                // bytes
inline constexpr uint32_t kMaxSignals = 4096;                         // of one Publish

/// A Frame with its body still encoded. `field` is the body's number in the oneof (Frame::kHello …).
struct FrameView {
  uint64_t session = 0;
  uint64_t number = 0;
  uint32_t field = 0;
  std::string_view body;
};

/// Appends the envelope of a body of `size` bytes; the body is to follow.
void seal_head(std::string& out, uint64_t session, uint64_t number, uint32_t field, size_t size);
/// One whole frame.
std::string seal(uint64_t session, uint64_t number, uint32_t field, std::string_view body);
/// False where `message` is not a frame with exactly one body.
bool open_frame(std::string_view message, FrameView& out);

}  // namespace detent
