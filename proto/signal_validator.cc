#include "proto/signal_validator.h"

#include <spdlog/fmt/fmt.h>

#include <cstring>

#include "base/redact.h"
#include "base/result.h"
#include "base/utf8.h"
#include "proto/frame.h"
#include "proto/limits.pb.h"
#include "proto/reader.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

namespace detent {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

/// One message's fields as a table by field number.
struct SignalValidator::Shape {
  struct Entry {
    std::string name;
    uint32_t wire = 99;  // 99: no such field
    uint32_t max_bytes = 0xffffffff;
    uint32_t max_items = 0;  // 0: not repeated
    bool is_text = false;
    const Shape* message = nullptr;
  };
  std::vector<Entry> fields;
  std::string name;
  bool is_named_value = false;  // field 1 names what field 2 says
  uint32_t expires_after = 0;
};

namespace {

uint32_t wire_of(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_DOUBLE:
    case FieldDescriptor::TYPE_FIXED64:
    case FieldDescriptor::TYPE_SFIXED64:
      return 1;
    case FieldDescriptor::TYPE_FLOAT:
    case FieldDescriptor::TYPE_FIXED32:
    case FieldDescriptor::TYPE_SFIXED32:
      return 5;
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_BYTES:
    case FieldDescriptor::TYPE_MESSAGE:
      return 2;
    default:
      return 0;
  }
}

using Shapes = std::map<std::string, std::unique_ptr<SignalValidator::Shape>, std::less<>>;

const SignalValidator::Shape* shape_of(const Descriptor& message, Shapes& shapes) {
  auto& slot = shapes[message.full_name()];
  if (slot) return slot.get();
  slot = std::make_unique<SignalValidator::Shape>();
  auto& shape = *slot;
  shape.name = message.name();
  shape.expires_after = message.options().GetExtension(expires_after);
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& field = *message.field(i);
    const auto number = static_cast<size_t>(field.number());
    if (shape.fields.size() <= number) shape.fields.resize(number + 1);
    SignalValidator::Shape::Entry entry;
    entry.name = field.name();
    entry.wire = wire_of(field);
    if (field.options().HasExtension(max_bytes)) entry.max_bytes = field.options().GetExtension(max_bytes);
    if (field.is_repeated())
      entry.max_items = field.options().HasExtension(max_items) ? field.options().GetExtension(max_items) : 1024;
    entry.is_text = field.type() == FieldDescriptor::TYPE_STRING;
    if (field.type() == FieldDescriptor::TYPE_MESSAGE) entry.message = shape_of(*field.message_type(), shapes);
    shapes[message.full_name()]->fields[number] = std::move(entry);
  }
  shape.is_named_value =
      shape.fields.size() > 2 && shape.fields[1].is_text && shape.fields[2].is_text && shape.fields[2].name == "value";
  CHECK(shape.fields.size() <= 64, "a field has a bit in SignalValidator::walk");
  return &shape;
}

bool good_type(std::string_view type) {
  if (type.empty()) return false;
  for (const char c : type) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return false;
  }
  return type.front() != '.' && type.back() != '.';
}

/// Takes the field at which `reader` stands into the head.
void take_field(const Reader& reader, SignalHeader& head) {
  switch (reader.field()) {
    case Signal::kIdFieldNumber:
      head.id = reader.bytes();
      break;
    case Signal::kTypeFieldNumber:
      head.type = reader.bytes();
      break;
    case Signal::kSourceFieldNumber:
      head.source = reader.bytes();
      break;
    case Signal::kSeverityFieldNumber:
      head.severity = static_cast<uint32_t>(reader.number());
      break;
    case Signal::kNeedsResponseFieldNumber:
      head.needs_response = reader.number() != 0;
      break;
    case Signal::kThreadFieldNumber:
      head.thread = reader.bytes();
      break;
    case Signal::kCreatedMsFieldNumber:
      head.created_ms = static_cast<int64_t>(reader.number());
      break;
    case Signal::kExpiresMsFieldNumber:
      head.expires_ms = static_cast<int64_t>(reader.number());
      break;
    case Signal::kInReplyToFieldNumber:
      head.in_reply_to = reader.bytes();
      break;
    case Signal::kPayloadFieldNumber:
      head.payload = reader.bytes();
      break;
    case Signal::kLabelsFieldNumber: {
      std::pair<std::string_view, std::string_view> label;
      Reader inner(reader.bytes());
      while (inner.next()) (inner.field() == 1 ? label.first : label.second) = inner.bytes();
      head.labels.push_back(label);
      break;
    }
    default:
      break;
  }
}

}  // namespace

SignalValidator::SignalValidator(Mask mask) : mask_(std::move(mask)) {
  const auto& file = *Signal::descriptor()->file();
  for (int i = 0; i < file.message_type_count(); ++i) {
    const auto& message = *file.message_type(i);
    const auto* shape = shape_of(message, shapes_);
    const auto& options = message.options();
    for (int t = 0; t < options.ExtensionSize(types); ++t) by_type_[options.GetExtension(types, t)] = shape;
  }
  const auto& frame = *Frame::descriptor();
  for (int i = 0; i < frame.field_count(); ++i) {
    const auto& field = *frame.field(i);
    // A Publish is the path of every signal, and they are looked at one by one.
    if (field.message_type() && field.number() != Frame::kPublish)
      frames_[static_cast<uint32_t>(field.number())] = shape_of(*field.message_type(), shapes_);
  }
  signal_ = shapes_.find(Signal::descriptor()->full_name())->second.get();
  note_ = shapes_.find(Note::descriptor()->full_name())->second.get();
}

SignalValidator::~SignalValidator() = default;

uint32_t SignalValidator::expires_after(std::string_view type) const {
  const auto found = by_type_.find(type);
  return found == by_type_.end() ? 0 : found->second->expires_after;
}

void SignalValidator::mask(std::string& text) {
  if (mask_ && !text.empty() && mask_(text)) ++masked_;
}

bool SignalValidator::text(std::string_view bytes, bool masks) {
  if (!is_utf8(bytes)) return false;
  // The view is of the caller's own mutable bytes (see check).
  if (masks && mask_ && mask_({const_cast<char*>(bytes.data()), bytes.size()})) ++masked_;
  return true;
}

bool SignalValidator::walk(std::string_view bytes, const Shape& shape, int depth, bool masks, std::string& why,
                           SignalHeader* head) {
  if (depth > 4) {
    why = "nested too deep";
    return false;
  }
  uint32_t counts[16] = {};
  uint32_t other = 0;
  uint64_t seen = 0;
  std::string_view named, value;
  Reader reader(bytes);
  while (reader.next()) {
    if (reader.field() >= shape.fields.size() || shape.fields[reader.field()].wire == 99) {
      // A newer word than ours is passed on as it is, unless it carries a secret that cannot be masked in safety.
      if (reader.wire() != 2 || !masks || !mask_) continue;
      std::string copy(reader.bytes());
      if (mask_(copy)) {
        why = fmt::format("{}: unknown field {} carries a secret", shape.name, reader.field());
        return false;
      }
      continue;
    }
    const auto& entry = shape.fields[reader.field()];
    if (reader.wire() != entry.wire && !(entry.max_items && entry.wire != 2 && reader.wire() == 2)) {
      why = fmt::format("{}.{}: wrong wire type {}", shape.name, entry.name, reader.wire());
      return false;
    }
    if (entry.max_items) {
      uint32_t& count = reader.field() < 16 ? counts[reader.field()] : other;
      if (++count > entry.max_items) {
        why = fmt::format("{}.{}: more than {}", shape.name, entry.name, entry.max_items);
        return false;
      }
    } else {
      // Protobuf takes the last one; what the ones before it say would pass unread.
      const uint64_t bit = uint64_t{1} << reader.field();
      if (seen & bit) {
        why = fmt::format("{}.{}: more than one", shape.name, entry.name);
        return false;
      }
      seen |= bit;
    }
    if (head) take_field(reader, *head);
    if (reader.wire() != 2) continue;
    if (reader.bytes().size() > entry.max_bytes) {
      why = fmt::format("{}.{}: {} bytes, over the limit of {}", shape.name, entry.name, reader.bytes().size(),
                        entry.max_bytes);
      return false;
    }
    if (entry.is_text && !text(reader.bytes(), masks)) {
      why = fmt::format("{}.{}: not UTF-8", shape.name, entry.name);
      return false;
    }
    if (shape.is_named_value && reader.field() <= 2) (reader.field() == 1 ? named : value) = reader.bytes();
    if (entry.message && !walk(reader.bytes(), *entry.message, depth + 1, masks, why)) {
      why = fmt::format("{}.{}", shape.name, why);
      return false;
    }
  }
  // The views are of the caller's own mutable bytes (see check).
  if (masks && mask_ && redact_value(named, {const_cast<char*>(value.data()), value.size()})) ++masked_;
  if (!reader.ok()) why = fmt::format("{}: cannot be read", shape.name);
  return reader.ok();
}

std::optional<Rejection> SignalValidator::check(std::span<char> signal, SignalHeader& head) {
  const std::string_view bytes(signal.data(), signal.size());
  if (bytes.size() > kMaxSignal)
    return Rejection{BAD_SIGNAL, fmt::format("{} bytes, over the limit of {}", bytes.size(), kMaxSignal)};
  std::string why;
  if (!walk(bytes, *signal_, 0, true, why, &head)) return Rejection{BAD_SIGNAL, why};
  if (head.id.size() != 16) return Rejection{BAD_SIGNAL, "Signal.id: not 16 bytes (a ULID)"};
  if (!good_type(head.type)) {
    return Rejection{BAD_SIGNAL, fmt::format("Signal.type: \"{}\" is not lower-case words joined by dots", head.type)};
  }
  if (head.severity > CRITICAL)
    return Rejection{BAD_SIGNAL, fmt::format("Signal.severity: {} is unknown", head.severity)};
  if (!head.in_reply_to.empty() && head.in_reply_to.size() != 16)
    return Rejection{BAD_SIGNAL, "Signal.in_reply_to: not 16 bytes"};
  if (head.created_ms < 0 || head.expires_ms < 0) return Rejection{BAD_SIGNAL, "Signal: a time before 1970"};
  const auto known = by_type_.find(head.type);
  const Shape& shape = known == by_type_.end() ? *note_ : *known->second;
  if (!walk(head.payload, shape, 1, true, why))
    return Rejection{BAD_PAYLOAD, fmt::format("payload of {}: {}", head.type, why)};
  return std::nullopt;
}

std::optional<std::string> SignalValidator::check_frame(uint32_t field, std::string_view body) {
  const auto shape = frames_.find(field);
  std::string why;
  if (shape == frames_.end() || walk(body, *shape->second, 0, false, why)) return std::nullopt;
  return why;
}

SignalHeader read_header(std::string_view signal) {
  SignalHeader head;
  Reader reader(signal);
  while (reader.next()) take_field(reader, head);
  return head;
}

namespace {
std::string_view text_field(std::string_view payload, uint32_t field) {
  std::string_view text;
  Reader reader(payload);
  while (reader.next()) {
    if (reader.field() == field && reader.wire() == 2) text = reader.bytes();
  }
  return text;
}
}  // namespace

std::string_view payload_title(std::string_view payload) { return text_field(payload, Note::kTitleFieldNumber); }
std::string_view payload_body(std::string_view payload) { return text_field(payload, Note::kBodyFieldNumber); }

}  // namespace detent
