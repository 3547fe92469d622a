// What DigitalOcean takes for a new droplet or key, and its words for what it does not.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/digitalocean.h"

namespace detent::sandbox {

/// The droplets that the body of POST /v2/droplets asks for: one, or one for each of its `names`. An Error is the
/// message of a 422.
Result<std::vector<DigitalOcean::Droplet>> droplets_from(const json::object& body, const DigitalOcean& ocean);

/// "3b:16:bf:…", the MD5 of the key's bytes; an Error where `public_key` is none as OpenSSH writes it.
Result<std::string> key_fingerprint(std::string_view public_key);

/// The member of that body that no operation has, or "".
std::string unknown_member(const json::object& body, std::initializer_list<std::string_view> known);

}  // namespace detent::sandbox
