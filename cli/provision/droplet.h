// DigitalOcean's objects as values: what of them provisioning looks at. Pure.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace detent::provision {

struct Droplet {
  std::int64_t id = 0;
  std::string name, status, region, size, created_at;
  std::string address;  // public IPv4; empty while there is none
  std::vector<std::string> tags;
  double price_monthly = 0;  // US dollars
  bool locked = false;

  bool has_tag(std::string_view tag) const;
};

struct Action {
  std::int64_t id = 0;
  std::string status, type;  // status: in-progress, completed, errored
};

struct AccountKey {
  std::int64_t id = 0;
  std::string name, public_key;
};

/// Of the API's own form. An Error where it is not of that form.
Result<Droplet> droplet_from(const boost::json::value& json);
Result<Action> action_from(const boost::json::value& json);
Result<AccountKey> key_from(const boost::json::value& json);

}  // namespace detent::provision
