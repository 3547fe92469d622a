#include "ledger/audit/line.h"

#include <boost/json.hpp>
#include <charconv>

#include "base/base64.h"
#include "base/json_string.h"
#include "ledger/text.h"

namespace detent {
namespace {

constexpr std::string_view kHashKey = ",\"hash\":\"";
constexpr std::size_t kSealLength = kHashKey.size() + 64 + 2;

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void append_text(std::string& out, std::string_view key, std::string_view text) {
  if (text.empty()) return;
  out.append(key);
  append_json_string(out, text);
}

void append_time(std::string& out, std::string_view key, Millis time) {
  if (time <= Millis{0}) return;
  out.append(key);
  append_json_time(out, time);
}

}  // namespace

std::string_view name_of(ReceiptState state) {
  switch (state) {
    case ReceiptState::delivered:
      return "delivered";
    case ReceiptState::unknown:
      return "unknown";
    case ReceiptState::expired:
      return "expired";
    case ReceiptState::dead:
      return "dead";
    case ReceiptState::dropped:
      return "dropped";
  }
  CHECK(false, "a receipt without a state");
  return {};
}

void append_open_line(std::string& out, const LedgerSignal& signal) {
  out.append("{\"seq\":");
  append_number(out, signal.seq);
  append_time(out, ",\"journalled\":", signal.journalled);
  append_text(out, ",\"id\":", signal.id);
  append_text(out, ",\"type\":", signal.type);
  append_text(out, ",\"severity\":", signal.severity);
  append_text(out, ",\"source\":", signal.source);
  append_text(out, ",\"title\":", signal.title);
  append_text(out, ",\"body\":", signal.body);
  if (signal.needs_response) out.append(",\"needs_response\":true");
  if (!signal.labels.empty()) {
    out.append(",\"labels\":{");
    for (std::size_t i = 0; i < signal.labels.size(); ++i) {
      if (i) out.push_back(',');
      append_json_string(out, signal.labels[i].first);
      out.push_back(':');
      append_json_string(out, signal.labels[i].second);
    }
    out.push_back('}');
  }
  append_text(out, ",\"thread\":", signal.thread);
  append_text(out, ",\"in_reply_to\":", signal.in_reply_to);
  append_time(out, ",\"created\":", signal.created);
  append_time(out, ",\"expires\":", signal.expires);
  out.append(",\"channels\":[");
  for (std::size_t i = 0; i < signal.channels.size(); ++i) {
    if (i) out.push_back(',');
    append_json_string(out, signal.channels[i]);
  }
  out.push_back(']');
  out.append(",\"bytes\":\"");
  append_hex(out, hash_of(signal.raw));
  out.append("\",\"raw\":\"");
  append_base64(out, signal.raw);
  out.push_back('"');
}

void append_open_line(std::string& out, const LedgerReceipt& receipt) {
  out.append("{\"receipt\":\"");
  out.append(name_of(receipt.state));
  out.append("\",\"seq\":");
  append_number(out, receipt.seq);
  append_text(out, ",\"id\":", receipt.id);
  if (receipt.delivery) {
    out.append(",\"delivery\":");
    append_number(out, receipt.delivery);
  }
  append_text(out, ",\"channel\":", receipt.channel);
  append_time(out, ",\"time\":", receipt.time);
  append_text(out, ",\"message\":", receipt.message);
  append_text(out, ",\"link\":", receipt.link);
  append_text(out, ",\"cause\":", receipt.cause);
}

void append_sealed(std::string& out, std::string_view open, bool first_of_file, Hash& chain) {
  const std::size_t start = out.size();
  out.append(open);
  if (first_of_file) {
    out.append(",\"prev\":\"");
    append_hex(out, chain);
    out.push_back('"');
  }
  chain = link(chain, std::string_view{out}.substr(start));
  out.append(kHashKey);
  append_hex(out, chain);
  out.append("\"}\n");
}

Result<LedgerLine> parse_line(std::string_view text) {
  LedgerLine line;
  if (text.size() <= kSealLength || text.substr(text.size() - kSealLength, kHashKey.size()) != kHashKey ||
      !text.ends_with("\"}")) {
    return Error{"the line does not end in its hash"};
  }
  const auto hash = hash_from_hex(text.substr(text.size() - 66, 64));
  if (!hash) return Error{"the line's hash is not a hash"};
  line.hash = *hash;
  line.hashed = text.substr(0, text.size() - kSealLength);

  boost::system::error_code failed;
  const auto value = boost::json::parse({text.data(), text.size()}, failed);
  if (failed || !value.is_object()) return Error{"the line is not a JSON object"};
  const auto& fields = value.get_object();
  const auto string_of = [&](const char* key) -> std::optional<std::string_view> {
    const auto* field = fields.if_contains(key);
    if (!field || !field->is_string()) return std::nullopt;
    return std::string_view{field->get_string()};
  };
  const auto* seq = fields.if_contains("seq");
  if (!seq) return Error{"the line has no seq"};
  boost::system::error_code not_a_number;
  line.seq = seq->to_number<std::uint64_t>(not_a_number);
  if (not_a_number) return Error{"the line's seq is not a number"};
  line.id = std::string{string_of("id").value_or("")};
  if (const auto before = string_of("prev")) {
    line.before = hash_from_hex(*before);
    if (!line.before) return Error{"the line's prev is not a hash"};
  }
  line.receipt = fields.contains("receipt");
  if (line.receipt) {
    line.channel = std::string{string_of("channel").value_or("")};
    line.state = std::string{string_of("receipt").value_or("")};
    return line;
  }
  if (const auto* channels = fields.if_contains("channels"); channels && channels->is_array()) {
    line.channels = channels->get_array().size();
  }

  const auto raw = string_of("raw"), bytes = string_of("bytes");
  if (!raw || !bytes) return Error{"the line lacks the journalled bytes or their hash"};
  auto decoded = from_base64(*raw);
  if (!decoded) return Error{"the line's raw is not base64"};
  line.raw = std::move(*decoded);
  if (to_hex(hash_of(line.raw)) != *bytes)
    return Error{"the journalled bytes in the line do not have the hash it names"};
  return line;
}

}  // namespace detent
