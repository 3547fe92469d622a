#include "proto/signal_builder.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <optional>

#include "proto/payload.h"
#include "proto/signal.pb.h"
#include "proto/signal_validator.h"

namespace detent {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

struct SignalBuilder::Parts {
  Patterns patterns;
  SignalValidator validator;
  UlidSource ids;
  explicit Parts(Patterns given)
      : patterns(std::move(given)), validator([this](std::span<char> text) { return redact(text, patterns); }) {}
};

namespace {

constexpr int kFirstOwnField = 10;

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Sets the payload's own field of that name. False where it has none; an error where the value does not fit.
Result<bool> set_own_field(Message& payload, const std::string& name, const std::string& value) {
  const auto* field = payload.GetDescriptor()->FindFieldByName(name);
  if (!field || field->number() < kFirstOwnField) return false;
  const auto& reflection = *payload.GetReflection();
  if (field->is_repeated()) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return false;
    reflection.AddString(&payload, field, value);
    return true;
  }
  const auto wrong = [&](std::string_view expected) {
    return Error{fmt::format("field {}: \"{}\" is not {}", name, value, expected)};
  };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(&payload, field, value);
      return true;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (const auto v = number<double>(value)) return reflection.SetDouble(&payload, field, *v), true;
      return wrong("a number");
    case FieldDescriptor::CPPTYPE_INT64:
      if (const auto v = number<int64_t>(value)) return reflection.SetInt64(&payload, field, *v), true;
      return wrong("a whole number");
    case FieldDescriptor::CPPTYPE_INT32:
      if (const auto v = number<int32_t>(value)) return reflection.SetInt32(&payload, field, *v), true;
      return wrong("a whole number");
    case FieldDescriptor::CPPTYPE_UINT64:
      if (const auto v = number<uint64_t>(value)) return reflection.SetUInt64(&payload, field, *v), true;
      return wrong("a whole number");
    case FieldDescriptor::CPPTYPE_UINT32:
      if (const auto v = number<uint32_t>(value)) return reflection.SetUInt32(&payload, field, *v), true;
      return wrong("a whole number");
    case FieldDescriptor::CPPTYPE_BOOL:
      if (value == "true" || value == "false") return reflection.SetBool(&payload, field, value == "true"), true;
      return wrong("true or false");
    default:
      return false;
  }
}

void set_text(Message& payload, const char* name, const std::string& value) {
  if (!value.empty())
    payload.GetReflection()->SetString(&payload, payload.GetDescriptor()->FindFieldByName(name), value);
}

}  // namespace

SignalBuilder::SignalBuilder(Patterns patterns) : parts_(std::make_unique<Parts>(std::move(patterns))) {}
SignalBuilder::~SignalBuilder() = default;

Result<Built> SignalBuilder::build(const Draft& draft, Now now) {
  const auto payload = payload_of(draft.type);
  set_text(*payload, "title", draft.title);
  set_text(*payload, "body", draft.body);
  set_text(*payload, "url", draft.url);
  const auto* list = payload->GetDescriptor()->FindFieldByName("fields");
  for (const auto& [name, value] : draft.fields) {
    const Result<bool> own = set_own_field(*payload, name, value);
    if (!own) return own.error();
    if (*own) continue;
    auto* field = static_cast<Field*>(payload->GetReflection()->AddMessage(payload.get(), list));
    field->set_name(name);
    field->set_value(value);
    field->set_short_(value.size() <= 40);
  }
  return build(draft, *payload, now);
}

Result<Built> SignalBuilder::build(const Draft& draft, const Message& payload, Now now) {
  if (draft.title.empty() && payload.ByteSizeLong() == 0) return Error{"a signal needs a title"};
  const int severity = draft.severity.value_or(severity_of(payload));
  if (severity < INFO || severity > CRITICAL) return Error{fmt::format("severity {} is unknown", severity)};
  Signal signal;
  const bool given = draft.id != Ulid{};
  const Ulid id = given ? draft.id : parts_->ids.next(now.wall);
  const Millis created = given ? id.time() : now.wall;
  signal.set_id(id.view().data(), id.view().size());
  signal.set_type(draft.type);
  signal.set_source(draft.source);
  signal.set_severity(static_cast<Severity>(severity));
  signal.set_needs_response(draft.needs_response);
  for (const auto& [key, value] : draft.labels) {
    auto* label = signal.add_labels();
    label->set_key(key);
    label->set_value(value);
  }
  signal.set_thread(draft.thread);
  signal.set_created_ms(created.count());
  if (draft.expires_in > Millis{0}) signal.set_expires_ms((created + draft.expires_in).count());
  if (draft.in_reply_to != Ulid{}) signal.set_in_reply_to(draft.in_reply_to.view().data(), 16);
  signal.set_payload(payload.SerializeAsString());

  Built built{id, signal.SerializeAsString()};
  SignalHeader head;
  if (const auto fault = parts_->validator.check(built.signal, head)) return Error{fault->text, fault->reason};
  return built;
}

}  // namespace detent
