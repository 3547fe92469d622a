#include "http/browser.h"

#include <arpa/inet.h>
#include <spdlog/fmt/fmt.h>

#include "http/url.h"

namespace detent::http {

namespace {

/// "localhost" of "localhost:7480", "::1" of "[::1]:7480"; nothing where it has neither form.
std::optional<std::string_view> without_port(std::string_view host) {
  std::string_view port;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == host.npos) return std::nullopt;
    port = host.substr(end + 1);
    host = host.substr(1, end - 1);
  } else {
    const std::size_t colon = host.find(':');
    if (colon != host.npos) port = host.substr(colon);
    host = host.substr(0, colon);
  }
  if (!port.empty() && (port.front() != ':' || port.find_first_not_of("0123456789", 1) != port.npos)) {
    return std::nullopt;
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

bool is_loopback(std::string_view host) {
  const std::string text(host);
  in_addr four{};
  in6_addr six{};
  if (inet_pton(AF_INET, text.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  if (inet_pton(AF_INET6, text.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return same_name(host, "localhost");
}

}  // namespace

std::optional<std::string> from_foreign_page(const Incoming& in, std::optional<std::string_view> name) {
  std::string_view host;
  for (const auto& [key, value] : in.headers) {
    if (!same_name(key, "Host")) continue;
    host = value;
    if (host.empty() || !name) continue;
    const auto bare = without_port(host);
    const bool ours =
        bare && !bare->empty() &&
        (is_loopback(*bare) || same_name(*bare, in.reached) || (!name->empty() && same_name(*bare, *name)));
    if (!ours) return fmt::format("Host: {} is no name of this server", host);
  }
  for (const auto& [key, value] : in.headers) {
    if (same_name(key, "Origin")) {
      const std::size_t scheme = value.starts_with("http://") ? 7 : value.starts_with("https://") ? 8 : 0;
      if (scheme == 0 || host.empty() || !same_name(std::string_view(value).substr(scheme), host)) {
        return fmt::format("Origin: {} is another site", value);
      }
    }
    if (same_name(key, "Sec-Fetch-Site") && !same_name(value, "same-origin") && !same_name(value, "none")) {
      return fmt::format("Sec-Fetch-Site: {} is another site's request", value);
    }
  }
  return std::nullopt;
}

}  // namespace detent::http
