#include "proto/frame.h"

#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent {

void seal_head(std::string& out, uint64_t session, uint64_t number, uint32_t field, size_t size) {
  if (session) wire::number(out, Frame::kSessionFieldNumber, session);
  if (number) wire::number(out, Frame::kNumberFieldNumber, number);
  wire::varint(out, field << 3 | 2);
  wire::varint(out, size);
}

std::string seal(uint64_t session, uint64_t number, uint32_t field, std::string_view body) {
  std::string out;
  out.reserve(body.size() + 32);
  seal_head(out, session, number, field, body.size());
  out.append(body);
  return out;
}

bool open_frame(std::string_view message, FrameView& out) {
  out = {};
  Reader reader(message);
  while (reader.next()) {
    if (reader.field() == Frame::kSessionFieldNumber && reader.wire() == 0) {
      out.session = reader.number();
    } else if (reader.field() == Frame::kNumberFieldNumber && reader.wire() == 0) {
      out.number = reader.number();
    } else if (reader.field() >= Frame::kHello && reader.wire() == 2) {
      if (out.field) return false;
      out.field = reader.field();
      out.body = reader.bytes();
    }
  }
  return reader.ok() && out.field != 0;
}

}  // namespace detent
