#include "proto/json.h"

#include <google/protobuf/util/json_util.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/units.h"
#include "proto/payload.h"
#include "proto/signal.pb.h"
#include "proto/signal_validator.h"

namespace detent {

namespace json = boost::json;

namespace {

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

/// Protobuf points to the place in the text with lines of its own; the first says what is wrong.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\r', ' ');
  return text.substr(0, text.find('\n'));
}

Result<std::string> one_signal(const json::value& value, UlidSource& ids, Now now) {
  if (!value.is_object()) return Error{"a signal is a JSON object"};
  Signal signal;
  bool says_severity = false;
  json::object payload;
  for (const auto& member : value.get_object()) {
    const std::string_view key = member.key();
    const json::value& item = member.value();
    const auto wants = [&](bool right, std::string_view what) -> Result<void> {
      if (right) return {};
      return Error{fmt::format("\"{}\" must be {}", std::string(key), what)};
    };
    if (key == "id" || key == "in_reply_to") {
      const auto id = item.is_string() ? Ulid::parse(std::string_view(item.get_string())) : std::nullopt;
      if (auto good = wants(id && *id != Ulid{}, "a ULID of 26 characters"); !good) return good.error();
      (key == "id" ? *signal.mutable_id() : *signal.mutable_in_reply_to()) = std::string(id->view());
    } else if (key == "type" || key == "source" || key == "thread") {
      if (auto good = wants(item.is_string(), "a string"); !good) return good.error();
      const std::string text(item.get_string());
      if (key == "type") signal.set_type(text);
      if (key == "source") signal.set_source(text);
      if (key == "thread") signal.set_thread(text);
    } else if (key == "severity") {
      const int severity = item.is_string() ? severity_from_name(std::string_view(item.get_string())) : -1;
      if (auto good = wants(severity >= 0, "info, notice, warning, error or critical"); !good) return good.error();
      signal.set_severity(static_cast<Severity>(severity));
      says_severity = true;
    } else if (key == "needs_response") {
      if (auto good = wants(item.is_bool(), "true or false"); !good) return good.error();
      signal.set_needs_response(item.get_bool());
    } else if (key == "created_ms" || key == "expires_ms") {
      if (auto good = wants(item.is_int64() && item.get_int64() >= 0, "milliseconds since 1970"); !good)
        return good.error();
      key == "created_ms" ? signal.set_created_ms(item.get_int64()) : signal.set_expires_ms(item.get_int64());
    } else if (key == "labels" || key == "fields") {
      if (key == "fields" && item.is_array()) {
        const auto is_field = [](const json::value& one) { return one.is_object(); };
        const auto& all = item.get_array();
        const auto odd = static_cast<size_t>(std::find_if_not(all.begin(), all.end(), is_field) - all.begin());
        if (odd < all.size())
          return Error{fmt::format("\"fields\"[{}] must be an object of \"name\", \"value\" and \"short\"", odd)};
        payload["fields"] = item;
        continue;
      }
      if (auto good = wants(item.is_object(), "an object of names and texts"); !good) return good.error();
      json::array fields;
      for (const auto& [name, content] : item.get_object()) {
        if (key == "labels") {
          if (!content.is_string()) return Error{fmt::format("\"labels\".\"{}\" must be a string", std::string(name))};
          auto* label = signal.add_labels();
          label->set_key(std::string(name));
          label->set_value(text_of(content));
        } else {
          fields.push_back({{"name", name}, {"value", text_of(content)}});
        }
      }
      if (key == "fields") payload["fields"] = std::move(fields);
    } else {
      payload[json::string_view(key.data(), key.size())] = item;
    }
  }
  if (signal.type().empty()) return Error{"\"type\" is missing"};
  if (signal.id().empty()) signal.set_id(std::string(ids.next(now.wall).view()));
  // Of the id, so that the same POST with the same id is the same signal.
  if (!signal.created_ms()) signal.set_created_ms(Ulid::from_bytes(signal.id())->time().count());
  const auto message = payload_of(signal.type());
  const auto status = google::protobuf::util::JsonStringToMessage(json::serialize(payload), message.get());
  if (!status.ok()) {
    return Error{fmt::format("the payload of {} ({}): {}", signal.type(), message->GetDescriptor()->name(),
                             one_line(std::string(status.message())))};
  }
  if (message->ByteSizeLong() == 0) return Error{"a signal needs a \"title\""};
  if (!says_severity) signal.set_severity(static_cast<Severity>(severity_of(*message)));
  signal.set_payload(message->SerializeAsString());
  return signal.SerializeAsString();
}

}  // namespace

int severity_from_name(std::string_view name) { return parse_severity(name).value_or(-1); }

std::string_view severity_name(int severity) {
  return severity >= 0 && severity < static_cast<int>(kSeverities.size()) ? kSeverities[static_cast<size_t>(severity)]
                                                                          : "unknown";
}

Result<std::vector<std::string>> signals_from_json(std::string_view text, UlidSource& ids, Now now) {
  boost::system::error_code code;
  const auto value = json::parse(json::string_view(text.data(), text.size()), code);
  if (code) return Error{"not JSON: " + code.message()};
  std::vector<std::string> signals;
  if (!value.is_array()) {
    auto signal = one_signal(value, ids, now);
    if (!signal) return signal.error();
    signals.push_back(std::move(*signal));
    return signals;
  }
  for (size_t i = 0; i < value.get_array().size(); ++i) {
    auto signal = one_signal(value.get_array()[i], ids, now);
    if (!signal) return Error{fmt::format("signal {}: {}", i, signal.error().what)};
    signals.push_back(std::move(*signal));
  }
  return signals;
}

std::string signal_to_json(std::string_view bytes) {
  const SignalHeader head = read_header(bytes);
  json::object out;
  const auto text = [](std::string_view value) { return json::string(value.data(), value.size()); };
  if (const auto id = Ulid::from_bytes(head.id)) out["id"] = id->text();
  out["type"] = text(head.type);
  out["source"] = text(head.source);
  out["severity"] = text(severity_name(static_cast<int>(head.severity)));
  out["needs_response"] = head.needs_response;
  if (!head.labels.empty()) {
    json::object labels;
    for (const auto& [key, value] : head.labels) labels[json::string_view(key.data(), key.size())] = text(value);
    out["labels"] = std::move(labels);
  }
  if (!head.thread.empty()) out["thread"] = text(head.thread);
  out["created_ms"] = head.created_ms;
  if (head.expires_ms) out["expires_ms"] = head.expires_ms;
  if (const auto reply = Ulid::from_bytes(head.in_reply_to)) out["in_reply_to"] = reply->text();
  const auto message = payload_of(head.type);
  if (message->ParseFromArray(head.payload.data(), static_cast<int>(head.payload.size()))) {
    std::string payload;
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    if (google::protobuf::util::MessageToJsonString(*message, &payload, options).ok()) {
      boost::system::error_code code;
      const auto value = json::parse(payload, code);
      if (!code && value.is_object()) {
        for (const auto& [key, item] : value.get_object()) {
          if (!out.contains(key)) out[key] = item;
        }
      }
    }
  }
  return json::serialize(out);
}

}  // namespace detent
