#include "broker/config.h"

#include <filesystem>

#include "config/section.h"

namespace detent {

namespace {

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("[::1]") || address.starts_with("localhost:");
}

}  // namespace

void BrokerConfig::read(Section& file) {
  file.section("broker", [&](Section& s) {
    s.endpoint("listen", listen);
    s.address("http", http);
    std::filesystem::path token;
    s.path("http_token_file", token);
    s.text("http_name", http_name);
    if (!token.empty()) http_token = Secret(token, "");
    if (!http.empty() && !is_loopback(http) && token.empty()) {
      s.expect(*s.raw().get("http"), "http", "an address of loopback, or http_token_file set too");
    }
    s.size("segment", segment);
    if (segment < kMiB || segment > 2048 * kMiB) {
      s.expect(*s.raw().get("segment"), "segment", "between \"1MiB\" and \"2GiB\"");
    }
    s.size("low_water", low_water);
    s.number("max_connections", max_connections, 1, 65535);
    s.section("max_backlog", [&](Section& limit) {
      limit.size("bytes", max_backlog.bytes);
      limit.duration("age", max_backlog.age);
    });
  });
}

}  // namespace detent
