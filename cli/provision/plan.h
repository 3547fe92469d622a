// What provisioning decides, without I/O: what to ask for, whether to ask at all, what to say. Pure functions.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/provision/droplet.h"

namespace detent::provision {

/// The droplet that is wanted.
struct Order {
  std::string name, region, size, image, tag;
};

/// An error that names the option, where DigitalOcean would refuse it anyway.
Result<> check_order(const Order& order);

/// The file on the droplet that its first boot writes last.
inline constexpr std::string_view kFirstBootMarker = "/var/lib/detent-worker/first-boot";

/// cloud-init's part: it writes the marker. Nothing secret: every process on the droplet can
/// read it.
std::string user_data(const Order& order);

/// The body of POST /v2/droplets. `key`: of the account.
boost::json::object create_request(const Order& order, std::int64_t key);

/// Where a worker of this name stands among the droplets that lists by name and by tag have shown.
struct Standing {
  enum class Kind { kNone, kOne, kSeveral, kForeign } kind = Kind::kNone;
  std::vector<Droplet> found;  // of that name, each once
};
/// kForeign: one of that name is there that does not carry the tag, so it was not made here.
Standing standing_of(const Order& order, std::vector<Droplet> by_name, const std::vector<Droplet>& by_tag);
/// "2 droplets are called x: 5 (active, 203.0.113.7, made 2026-11-28T10:00:00Z), …"
std::string tell(const std::vector<Droplet>& droplets);

/// US dollars a month as published for this size; nothing where it is not in the table.
std::optional<double> monthly_price(std::string_view size);
/// "$12.00/month", or that the price is not known.
std::string price_text(std::string_view size);

/// The account's key that has the same bytes as `public_key`, whatever its comment.
const AccountKey* find_key(const std::vector<AccountKey>& keys, std::string_view public_key);

/// Whether all that pawl-github.env needs is in it (GITHUB_TOKEN, GITHUB_USER, GITHUB_EMAIL, GITHUB_REPO), and nothing
/// that a shell would run. The error names what is missing, never a value.
Result<> check_github_env(std::string_view text);

/// The jobs of a crontab: its lines that are neither comments nor settings.
std::vector<std::string> jobs_of(std::string_view crontab);
/// What is to be done by hand, job by job.
std::string migration_checklist(const std::string& worker, const std::vector<std::string>& jobs);

/// `text` as one word for a shell.
std::string shell_word(std::string_view text);

}  // namespace detent::provision
