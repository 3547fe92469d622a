#include "http/multipart.h"

#include <openssl/rand.h>

#include "http/headers.h"

namespace detent::http {

namespace {
/// A name inside quotes, as browsers write it: the three bytes that could end it are percent-encoded.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') {
      out += "%22";
    } else if (c == '\r') {
      out += "%0D";
    } else if (c == '\n') {
      out += "%0A";
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string fresh_boundary() {
  unsigned char bytes[16];
  CHECK(RAND_bytes(bytes, sizeof bytes) == 1, "no randomness");
  std::string text = "detent-";
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The value of `key` among `; key=value; key="value"`, quotes and their escapes undone.
std::string parameter(std::string_view text, std::string_view key) {
  std::size_t at = text.find(';');
  while (at != text.npos && at < text.size()) {
    ++at;
    const std::size_t equals = text.find('=', at);
    if (equals == text.npos) return {};
    const std::string_view name = trimmed(text.substr(at, equals - at));
    std::string value;
    at = equals + 1;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\')) ++at;
        value += text[at];
      }
      at = text.find(';', at);
    } else {
      const std::size_t end = text.find(';', at);
      value = trimmed(text.substr(at, end == text.npos ? end : end - at));
      at = end;
    }
    if (same_name(name, key)) return value;
  }
  return {};
}

Result<Part> parse_part(std::string_view text) {
  Part part;
  bool disposition = false;
  while (true) {
    const std::size_t end = text.find("\r\n");
    if (end == text.npos) return Error{"multipart: a part's header does not end"};
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 2);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return Error{"multipart: a part's header line has no colon"};
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (same_name(trimmed(line.substr(0, colon)), "Content-Disposition")) {
      disposition = true;
      part.name = parameter(value, "name");
      part.filename = parameter(value, "filename");
    } else if (same_name(trimmed(line.substr(0, colon)), "Content-Type")) {
      part.content_type = value;
    }
  }
  if (!disposition) return Error{"multipart: a part has no Content-Disposition"};
  part.body = text;
  return part;
}
}  // namespace

Multipart multipart(const std::vector<Part>& parts) {
  std::string boundary;
  const auto occurs = [&] {
    for (const Part& part : parts) {
      if (part.body.find(boundary) != part.body.npos) return true;
    }
    return false;
  };
  do {
    boundary = fresh_boundary();
  } while (occurs());

  Multipart out{.content_type = "multipart/form-data; boundary=" + boundary, .body = {}};
  for (const Part& part : parts) {
    out.body += "--" + boundary + "\r\nContent-Disposition: form-data; name=" + quoted(part.name);
    if (!part.filename.empty()) out.body += "; filename=" + quoted(part.filename);
    out.body += "\r\n";
    if (!part.content_type.empty()) out.body += "Content-Type: " + part.content_type + "\r\n";
    out.body += "\r\n" + part.body + "\r\n";
  }
  out.body += "--" + boundary + "--\r\n";
  return out;
}

Result<std::vector<Part>> parse_multipart(std::string_view content_type, std::string_view body, std::size_t max_parts) {
  if (!same_name(trimmed(content_type.substr(0, content_type.find(';'))), "multipart/form-data")) {
    return Error{"multipart: the content type is not multipart/form-data"};
  }
  const std::string boundary = parameter(content_type, "boundary");
  if (boundary.empty() || boundary.size() > 70) return Error{"multipart: no boundary of 1 to 70 characters"};

  const std::string delimiter = "\r\n--" + boundary;
  std::size_t at = body.find(delimiter.substr(2));
  if (at == body.npos || (at != 0 && body.substr(at - 2, 2) != "\r\n")) return Error{"multipart: no first boundary"};
  at += delimiter.size() - 2;
  std::vector<Part> parts;
  while (true) {
    if (body.substr(at, 2) == "--") return parts;
    at = body.find("\r\n", at);
    if (at == body.npos) break;
    at += 2;
    const std::size_t end = body.find(delimiter, at);
    if (end == body.npos) break;
    if (parts.size() == max_parts) return Error{"multipart: more than " + std::to_string(max_parts) + " parts"};
    auto part = parse_part(body.substr(at, end - at));
    if (!part) return part.error();
    parts.push_back(std::move(*part));
    at = end + delimiter.size();
  }
  return Error{"multipart: the last boundary is missing"};
}

}  // namespace detent::http
