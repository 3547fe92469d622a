// Keeps web pages out. A browser sends what any page asks it to, also to a server on its own machine; and a page whose
// name its owner lets point at that machine may even read the answers (DNS rebinding). Curl, probes and our own
// programs are told from it by what browsers add by themselves.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/server.h"

namespace detent::http {

/// Why `in` may come from somebody else's web page, or nothing. It may where its Host is no name of ours, its Origin is
/// not the server itself, or Sec-Fetch-Site says so. Ours are `name` (empty: none), loopback's names and addresses, and
/// the address that the connection reached; without `name` any. A request without Host is from no browser.
std::optional<std::string> from_foreign_page(const Incoming& in, std::optional<std::string_view> name);

}  // namespace detent::http
