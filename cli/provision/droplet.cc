#include "cli/provision/droplet.h"

#include <algorithm>

namespace detent::provision {

namespace json = boost::json;

namespace {

const json::value* member(const json::value& in, std::string_view key) {
  const auto* object = in.if_object();
  const auto* found = object ? object->if_contains(key) : nullptr;
  return found && !found->is_null() ? found : nullptr;
}

std::string text(const json::value& in, std::string_view key) {
  const auto* found = member(in, key);
  return found && found->is_string() ? std::string(found->get_string()) : "";
}

std::int64_t number(const json::value& in, std::string_view key) {
  const auto* found = member(in, key);
  return found && found->is_int64() ? found->get_int64() : 0;
}

std::string public_address(const json::value& droplet) {
  const auto* networks = member(droplet, "networks");
  const auto* v4 = networks ? member(*networks, "v4") : nullptr;
  if (!v4 || !v4->is_array()) return {};
  for (const json::value& network : v4->get_array()) {
    if (text(network, "type") == "public") return text(network, "ip_address");
  }
  return {};
}

}  // namespace

bool Droplet::has_tag(std::string_view tag) const { return std::find(tags.begin(), tags.end(), tag) != tags.end(); }

Result<Droplet> droplet_from(const json::value& json) {
  Droplet droplet{.id = number(json, "id"),
                  .name = text(json, "name"),
                  .status = text(json, "status"),
                  .size = text(json, "size_slug"),
                  .created_at = text(json, "created_at"),
                  .address = public_address(json)};
  if (droplet.id <= 0 || droplet.name.empty() || droplet.status.empty())
    return Error{"DigitalOcean answered with a droplet without id, name or status"};
  if (const auto* region = member(json, "region")) droplet.region = text(*region, "slug");
  if (const auto* size = member(json, "size")) {
    const auto* price = member(*size, "price_monthly");
    if (price && price->is_number()) droplet.price_monthly = price->to_number<double>();
  }
  if (const auto* locked = member(json, "locked")) droplet.locked = locked->is_bool() && locked->get_bool();
  if (const auto* tags = member(json, "tags"); tags && tags->is_array()) {
    for (const json::value& tag : tags->get_array()) {
      if (tag.is_string()) droplet.tags.emplace_back(tag.get_string());
    }
  }
  return droplet;
}

Result<Action> action_from(const json::value& json) {
  Action action{.id = number(json, "id"), .status = text(json, "status"), .type = text(json, "type")};
  if (action.id <= 0 || action.status.empty())
    return Error{"DigitalOcean answered with an action without id or status"};
  return action;
}

Result<AccountKey> key_from(const json::value& json) {
  AccountKey key{.id = number(json, "id"), .name = text(json, "name"), .public_key = text(json, "public_key")};
  if (key.id <= 0) return Error{"DigitalOcean answered with an SSH key without id"};
  return key;
}

}  // namespace detent::provision
