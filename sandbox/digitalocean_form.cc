#include "sandbox/digitalocean_form.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "base/base64.h"
#include "base/utf8.h"

namespace detent::sandbox {

namespace {

constexpr std::size_t kMaxName = 255, kMaxUserData = 64 << 10, kMaxNames = 10;

/// ^[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]$
bool is_name(std::string_view name) {
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) && !(c & 0x80); };
  return !name.empty() && name.size() <= kMaxName && plain(name.back()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '.' || c == '-'; });
}

bool is_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= 255 && std::all_of(tag.begin(), tag.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == ':' || c == '-' || c == '_';
  });
}

Result<std::vector<std::string>> names_from(const json::object& body) {
  std::vector<std::string> names;
  const json::value* one = member(body, "name");
  const json::value* many = member(body, "names");
  if (one && many) return Error{"name and names cannot be used together."};
  if (one && one->is_string()) names.emplace_back(one->get_string());
  if (many) {
    if (!many->is_array()) return Error{"names must be an array."};
    for (const json::value& name : many->get_array())
      names.push_back(name.is_string() ? std::string(name.get_string()) : "");
    if (names.size() > kMaxNames) return Error{"You can only create up to 10 droplets at a time."};
  }
  if (names.empty()) return Error{"Name can't be blank."};
  for (const std::string& name : names) {
    if (!is_name(name)) return Error{"Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"};
  }
  return names;
}

Result<std::vector<std::int64_t>> keys_from(const json::object& body, const DigitalOcean& ocean) {
  std::vector<std::int64_t> keys;
  const json::value* list = member(body, "ssh_keys");
  if (!list) return keys;
  if (!list->is_array()) return Error{"ssh_keys must be an array."};
  for (const json::value& wanted : list->get_array()) {
    const auto found = std::find_if(ocean.keys().begin(), ocean.keys().end(), [&](const auto& entry) {
      return wanted.is_string()
                 ? entry.second.fingerprint == wanted.get_string() || std::to_string(entry.first) == wanted.get_string()
                 : wanted.is_number() && entry.first == wanted.to_number<std::int64_t>();
    });
    if (found == ocean.keys().end())
      return Error{fmt::format("{} are invalid key identifiers for Droplet creation.", json::serialize(wanted))};
    keys.push_back(found->first);
  }
  return keys;
}

Result<std::vector<std::string>> tags_from(const json::object& body) {
  std::vector<std::string> tags;
  const json::value* list = member(body, "tags");
  if (!list) return tags;
  if (!list->is_array()) return Error{"tags must be an array."};
  for (const json::value& tag : list->get_array()) {
    if (!tag.is_string() || !is_tag(tag.get_string()))
      return Error{"Tag names may only contain letters, numbers, colons, dashes, and underscores."};
    tags.emplace_back(tag.get_string());
  }
  return tags;
}

Result<> flags_into(const json::object& body, DigitalOcean::Droplet& draft) {
  bool agent = false, network = false;
  const std::pair<std::string_view, bool&> flags[] = {{"monitoring", draft.monitoring},
                                                      {"backups", draft.backups},
                                                      {"ipv6", draft.ipv6},
                                                      {"with_droplet_agent", agent},
                                                      {"public_networking", network}};
  for (const auto& [key, into] : flags) {
    const json::value* value = member(body, key);
    if (value && !value->is_bool()) return Error{std::string(key) + " must be true or false."};
    if (value) into = value->get_bool();
  }
  return {};
}

}  // namespace

std::string unknown_member(const json::object& body, std::initializer_list<std::string_view> known) {
  for (const auto& entry : body) {
    if (std::find(known.begin(), known.end(), std::string_view(entry.key())) == known.end())
      return std::string(entry.key());
  }
  return {};
}

Result<std::vector<DigitalOcean::Droplet>> droplets_from(const json::object& body, const DigitalOcean& ocean) {
  if (const std::string key =
          unknown_member(body, {"name", "names", "region", "size", "image", "ssh_keys", "backups", "backup_policy",
                                "ipv6", "monitoring", "tags", "user_data", "private_networking", "volumes", "vpc_uuid",
                                "with_droplet_agent", "public_networking"});
      !key.empty()) {
    return Error{key + " is not a known attribute."};
  }
  const auto names = names_from(body);
  if (!names) return names.error();
  DigitalOcean::Droplet draft;
  draft.size = text_of(body, "size");
  if (!DigitalOcean::find_size(draft.size)) return Error{"You specified an invalid size for Droplet creation."};
  draft.image = text_of(body, "image");
  if (!DigitalOcean::image_name(draft.image)) return Error{"You specified an invalid image for Droplet creation."};
  draft.region = body.contains("region") ? text_of(body, "region") : "nyc3";
  if (draft.region == "nyc") draft.region = "nyc3";  // a prefix takes any of its datacenters
  if (!DigitalOcean::has_region(draft.region)) return Error{"You specified an invalid region for Droplet creation."};
  const auto keys = keys_from(body, ocean);
  if (!keys) return keys.error();
  draft.keys = *keys;
  const auto tags = tags_from(body);
  if (!tags) return tags.error();
  draft.tags = *tags;
  if (const auto flags = flags_into(body, draft); !flags) return flags.error();
  if (const json::value* data = member(body, "user_data")) {
    if (!data->is_string() || !is_utf8(data->get_string())) return Error{"user_data must be plain text."};
    draft.user_data = data->get_string();
    if (draft.user_data.size() > kMaxUserData) return Error{"user_data is too long (maximum is 64 KiB)."};
  }
  if (static_cast<std::int64_t>(ocean.droplets().size() + names->size()) > ocean.settings.droplet_limit)
    return Error{"creating this/these droplet(s) will exceed your droplet limit"};
  std::vector<DigitalOcean::Droplet> drafts(names->size(), draft);
  for (std::size_t i = 0; i < drafts.size(); ++i) drafts[i].name = (*names)[i];
  return drafts;
}

Result<std::string> key_fingerprint(std::string_view public_key) {
  static const std::set<std::string_view> kTypes = {"ssh-rsa",
                                                    "ssh-ed25519",
                                                    "ecdsa-sha2-nistp256",
                                                    "ecdsa-sha2-nistp384",
                                                    "ecdsa-sha2-nistp521",
                                                    "sk-ssh-ed25519@openssh.com",
                                                    "sk-ecdsa-sha2-nistp256@openssh.com"};
  const Error invalid{"Key invalid, key should be of the format `type key [comment]`"};
  const std::size_t space = public_key.find(' ');
  if (space == public_key.npos || !kTypes.contains(public_key.substr(0, space))) return invalid;
  std::string_view rest = public_key.substr(space + 1);
  const auto bytes = from_base64(rest.substr(0, rest.find_first_of(" \n")));
  if (!bytes || bytes->size() < 32) return invalid;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(bytes->data(), bytes->size(), digest, &size, EVP_md5(), nullptr) != 1)
    return Error{"the key's fingerprint cannot be made: MD5 is not available here"};
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{}{:02x}", i ? ":" : "", digest[i]);
  return out;
}

}  // namespace detent::sandbox
