#include "cli/provision/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "cli/text.h"
#include "http/headers.h"

namespace detent::provision {

namespace json = boost::json;

namespace {

bool is_plain(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool all_of(std::string_view text, std::string_view also) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_plain(c) || also.find(c) != also.npos; });
}

/// Each line of `text`, without its end.
std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    out.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// "ssh-ed25519 AAAA…", without the comment.
std::string_view without_comment(std::string_view key) {
  const std::size_t first = key.find(' ');
  if (first == key.npos) return key;
  return key.substr(0, key.find_first_of(" \r\n", first + 1));
}

}  // namespace

Result<> check_order(const Order& order) {
  // api.digitalocean.com: ^[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]$, at most 255
  if (!all_of(order.name, ".-") || !is_plain(order.name.back()) || !is_plain(order.name.front()) ||
      order.name.size() > 255)
    return Error{fmt::format("\"{}\" is no name for a droplet: letters, digits, dots and dashes (no underscore)",
                             plain(order.name))};
  const std::pair<std::string_view, const std::string&> slugs[] = {
      {"region", order.region}, {"size", order.size}, {"image", order.image}};
  for (const auto& [what, slug] : slugs) {
    if (!all_of(slug, "-")) return Error{fmt::format("\"{}\" is no {} of DigitalOcean's", plain(slug), what)};
  }
  if (!all_of(order.tag, ":-_") || order.tag.size() > 255)
    return Error{fmt::format("\"{}\" is no tag: letters, digits, colons, dashes and underscores", plain(order.tag))};
  return {};
}

std::string user_data(const Order& order) {
  return fmt::format(R"(#cloud-config
# {}: a worker of Detent. Nothing secret is in here: any process on the droplet can read it.
package_update: false
runcmd:
  - [ mkdir, -p, {} ]
  - [ touch, {} ]
)",
                     order.name, kFirstBootMarker.substr(0, kFirstBootMarker.rfind('/')), kFirstBootMarker);
}

json::object create_request(const Order& order, std::int64_t key) {
  return {{"name", order.name},   {"region", order.region},       {"size", order.size},
          {"image", order.image}, {"ssh_keys", json::array{key}}, {"tags", json::array{json::string(order.tag)}},
          {"monitoring", true},   {"user_data", user_data(order)}};
}

Standing standing_of(const Order& order, std::vector<Droplet> by_name, const std::vector<Droplet>& by_tag) {
  Standing out;
  by_name.insert(by_name.end(), by_tag.begin(), by_tag.end());
  for (Droplet& droplet : by_name) {
    const bool seen =
        std::any_of(out.found.begin(), out.found.end(), [&](const Droplet& one) { return one.id == droplet.id; });
    if (!seen && http::same_name(droplet.name, order.name)) out.found.push_back(std::move(droplet));
  }
  if (out.found.size() > 1) {
    out.kind = Standing::Kind::kSeveral;
  } else if (out.found.size() == 1) {
    out.kind = out.found[0].has_tag(order.tag) ? Standing::Kind::kOne : Standing::Kind::kForeign;
  }
  return out;
}

std::string tell(const std::vector<Droplet>& droplets) {
  std::string out;
  for (const Droplet& droplet : droplets) {
    out += fmt::format("{}{} ({}, {}, made {})", out.empty() ? "" : ", ", droplet.id, droplet.status,
                       droplet.address.empty() ? "no address" : droplet.address, droplet.created_at);
  }
  return out;
}

std::optional<double> monthly_price(std::string_view size) {
  // Basic droplets (shared CPU), US dollars, from digitalocean.com/pricing/droplets. Once a droplet is there, what the
  // API says of it counts.
  static const std::map<std::string_view, double> kPrices = {
      {"s-1vcpu-512mb-10gb", 4}, {"s-1vcpu-1gb", 6},  {"s-1vcpu-2gb", 12},  {"s-2vcpu-2gb", 18},
      {"s-2vcpu-4gb", 24},       {"s-4vcpu-8gb", 48}, {"s-8vcpu-16gb", 96},
  };
  const auto found = kPrices.find(size);
  return found == kPrices.end() ? std::nullopt : std::optional(found->second);
}

std::string price_text(std::string_view size) {
  const auto price = monthly_price(size);
  return price ? fmt::format("${:.2f}/month", *price)
               : fmt::format("a price that is not known here (see digitalocean.com/pricing for {})", size);
}

const AccountKey* find_key(const std::vector<AccountKey>& keys, std::string_view public_key) {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const AccountKey& key) {
    return without_comment(key.public_key) == without_comment(public_key);
  });
  return found == keys.end() ? nullptr : &*found;
}

Result<> check_github_env(std::string_view text) {
  std::map<std::string_view, bool> wanted = {
      {"GITHUB_TOKEN", false}, {"GITHUB_USER", false}, {"GITHUB_EMAIL", false}, {"GITHUB_REPO", false}};
  int number = 0;
  for (std::string_view line : lines(text)) {
    ++number;
    line = trimmed(line);
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with("export ")) line = trimmed(line.substr(7));
    const std::size_t equals = line.find('=');
    if (equals == line.npos || !all_of(line.substr(0, equals), "_"))
      return Error{fmt::format("line {} is not NAME=VALUE", number)};
    std::string_view value = line.substr(equals + 1);
    if (value.size() > 1 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
      value = value.substr(1, value.size() - 2);
    if (!all_of(value, "_-.,:/@+= "))
      return Error{fmt::format("line {} has no value, or one with characters that need a shell", number)};
    const std::string_view name = line.substr(0, equals);
    if ((name == "GITHUB_TOKEN" || name == "GITHUB_USER") && !all_of(value, "_-."))
      return Error{fmt::format("{} on line {} has characters that no token or user of GitHub has", name, number)};
    if (const auto found = wanted.find(name); found != wanted.end()) found->second = true;
  }
  for (const auto& [name, there] : wanted) {
    if (!there) return Error{std::string(name) + " is missing"};
  }
  return {};
}

std::vector<std::string> jobs_of(std::string_view crontab) {
  std::vector<std::string> jobs;
  for (std::string_view line : lines(crontab)) {
    line = trimmed(line);
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t equals = line.find('='), space = line.find_first_of(" \t");
    if (equals != line.npos && (space == line.npos || equals < space || trimmed(line.substr(space)).starts_with('=')))
      continue;  // MAILTO=…
    jobs.emplace_back(line);
  }
  return jobs;
}

std::string migration_checklist(const std::string& worker, const std::vector<std::string>& jobs) {
  std::string out = fmt::format("To move work to {}:\n", worker);
  out += "  [ ] start it there:       systemctl enable --now openclaw-worker\n";
  out += fmt::format("  [ ] see that it is well:  detent worker status --name {}\n", worker);
  if (jobs.empty()) {
    out += "  No cron jobs of this user were found here; `--crontab FILE` reads another table.\n";
    return out;
  }
  out += fmt::format(
      "  Cron jobs of this user here ({}). For each that may run elsewhere: write it as a [[schedule]] or\n"
      "  `detent submit`, see one run succeed, then take it out of `crontab -e`. Long ones first; what reads this\n"
      "  machine's files or sockets stays.\n",
      jobs.size());
  for (const std::string& job : jobs) out += "  [ ] " + plain(job) + "\n";
  return out;
}

std::string shell_word(std::string_view text) {
  if (all_of(text, "_-./:=@,+%")) return std::string(text);
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace detent::provision
