#include "sandbox/digitalocean.h"

#include <algorithm>
#include <cmath>

namespace detent::sandbox {

namespace {

// The plans that a worker may be made of; prices in US dollars as published for Basic droplets.
constexpr DigitalOcean::Size kSizes[] = {
    {"s-1vcpu-512mb-10gb", 512, 1, 10, 0.5, 4, 0.00595}, {"s-1vcpu-1gb", 1024, 1, 25, 1, 6, 0.00893},
    {"s-1vcpu-2gb", 2048, 1, 50, 2, 12, 0.01786},        {"s-2vcpu-2gb", 2048, 2, 60, 3, 18, 0.02679},
    {"s-2vcpu-4gb", 4096, 2, 80, 4, 24, 0.03571},        {"s-4vcpu-8gb", 8192, 4, 160, 5, 48, 0.07143},
    {"s-8vcpu-16gb", 16384, 8, 320, 6, 96, 0.14286},
};

struct Named {
  std::string_view slug, name;
};
constexpr Named kRegions[] = {{"ams3", "Amsterdam 3"}, {"blr1", "Bangalore 1"},     {"fra1", "Frankfurt 1"},
                              {"lon1", "London 1"},    {"nyc1", "New York 1"},      {"nyc2", "New York 2"},
                              {"nyc3", "New York 3"},  {"sfo2", "San Francisco 2"}, {"sfo3", "San Francisco 3"},
                              {"sgp1", "Singapore 1"}, {"syd1", "Sydney 1"},        {"tor1", "Toronto 1"}};
constexpr Named kImages[] = {{"ubuntu-22-04-x64", "22.04 (LTS) x64"},
                             {"ubuntu-24-04-x64", "24.04 (LTS) x64"},
                             {"debian-12-x64", "12 x64"},
                             {"debian-13-x64", "13 x64"}};

template <std::size_t Count>
const Named* find_named(const Named (&all)[Count], std::string_view slug) {
  const auto found = std::find_if(std::begin(all), std::end(all), [&](const Named& one) { return one.slug == slug; });
  return found == std::end(all) ? nullptr : found;
}

template <class Map>
auto* find_in(Map& map, std::int64_t id) {
  const auto found = map.find(id);
  return found == map.end() ? nullptr : &found->second;
}

json::array texts(const std::vector<std::string>& all) { return json::array(all.begin(), all.end()); }

}  // namespace

Result<> DigitalOcean::Settings::change(const json::object& body) {
  Settings changed = *this;
  for (const auto& entry : body) {
    const std::string_view key = entry.key();
    if (key == "address") {
      changed.address = text_of(body, key);
      if (changed.address.empty()) return Error{"address: an IPv4 address"};
    } else if (key == "droplet_limit") {
      const auto limit = whole_of(body, key);
      if (!limit || *limit < 0) return Error{"droplet_limit: a whole number from 0"};
      changed.droplet_limit = *limit;
    } else if (key == "active_after" || key == "hidden_for" || key == "action_takes") {
      const double seconds = entry.value().is_number() ? entry.value().to_number<double>() : -1;
      if (!(seconds >= 0 && seconds <= 86'400)) return Error{std::string(key) + ": seconds from 0 to 86400"};
      (key == "active_after" ? changed.active_after
       : key == "hidden_for" ? changed.hidden_for
                             : changed.action_takes) = Millis(std::llround(seconds * 1000));
    } else {
      return Error{"unknown member " + std::string(key)};
    }
  }
  *this = std::move(changed);
  return {};
}

void DigitalOcean::advance(Now now) {
  for (auto& [id, action] : actions_) {
    if (action.status != "in-progress" || action.ends_mono > now.mono) continue;
    action.status = "completed";
    Droplet* droplet = find_droplet(action.droplet);
    if (!droplet) continue;
    droplet->pending = 0;
    if (action.type == "create" || action.type == "power_on") droplet->status = "active";
    if (action.type == "shutdown" || action.type == "power_off") droplet->status = "off";
    if (action.type != "snapshot") continue;
    Snapshot& made = snapshots_[next_snapshot_];
    made = {.id = next_snapshot_++,
            .droplet = droplet->id,
            .name = action.snapshot_name,
            .region = droplet->region,
            .disk = find_size(droplet->size)->disk,
            .made = action.ends};
    droplet->snapshots.push_back(made.id);
  }
}

DigitalOcean::Droplet& DigitalOcean::create(Droplet draft, Now now) {
  draft.id = next_droplet_++;
  draft.made = now.wall;
  draft.made_mono = now.mono;
  Droplet& made = droplets_[draft.id] = std::move(draft);
  begin(made, "create", "", now);
  return made;
}

void DigitalOcean::destroy(std::int64_t droplet) { droplets_.erase(droplet); }

DigitalOcean::Action& DigitalOcean::begin(Droplet& droplet, std::string type, std::string snapshot_name, Now now) {
  const Millis takes = type == "create" ? settings.active_after : settings.action_takes;
  Action& action = actions_[next_action_];
  action = {.id = next_action_++,
            .droplet = droplet.id,
            .type = std::move(type),
            .region = droplet.region,
            .snapshot_name = std::move(snapshot_name),
            .begun = now.wall,
            .ends = now.wall + takes,
            .ends_mono = now.mono + takes};
  droplet.pending = action.id;
  return action;
}

DigitalOcean::Key& DigitalOcean::add_key(std::string name, std::string public_key, std::string fingerprint) {
  Key& key = keys_[next_key_];
  key = {next_key_++, std::move(name), std::move(fingerprint), std::move(public_key)};
  return key;
}

DigitalOcean::Droplet* DigitalOcean::find_droplet(std::int64_t id) { return find_in(droplets_, id); }
const DigitalOcean::Action* DigitalOcean::find_action(std::int64_t id) const { return find_in(actions_, id); }

const DigitalOcean::Size* DigitalOcean::find_size(std::string_view slug) {
  const auto found =
      std::find_if(std::begin(kSizes), std::end(kSizes), [&](const Size& size) { return size.slug == slug; });
  return found == std::end(kSizes) ? nullptr : found;
}

bool DigitalOcean::has_region(std::string_view slug) { return find_named(kRegions, slug); }

std::optional<std::string_view> DigitalOcean::image_name(std::string_view slug) {
  const Named* image = find_named(kImages, slug);
  return image ? std::optional(image->name) : std::nullopt;
}

json::object DigitalOcean::describe_size(const Size& size) {
  json::array regions;
  for (const Named& region : kRegions) regions.push_back(json::string(region.slug));
  return {{"slug", size.slug},           {"memory", size.memory},         {"vcpus", size.vcpus},
          {"disk", size.disk},           {"transfer", size.transfer},     {"price_monthly", size.monthly},
          {"price_hourly", size.hourly}, {"regions", std::move(regions)}, {"available", true},
          {"description", "Basic"}};
}

json::object DigitalOcean::describe_region(std::string_view slug) {
  json::array sizes;
  for (const Size& size : kSizes) sizes.push_back(json::string(size.slug));
  return {{"name", find_named(kRegions, slug)->name},
          {"slug", slug},
          {"features", {"backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"}},
          {"available", true},
          {"sizes", std::move(sizes)}};
}

json::object DigitalOcean::describe(const Droplet& droplet) const {
  const Size& size = *find_size(droplet.size);
  json::array features{"droplet_agent", "private_networking"}, addresses, snapshots;
  if (droplet.monitoring) features.push_back("monitoring");
  if (droplet.backups) features.push_back("backups");
  if (droplet.ipv6) features.push_back("ipv6");
  if (droplet.status != "new") {  // a droplet has no address before it is active
    addresses.push_back(
        {{"ip_address", "10.108.0.2"}, {"netmask", "255.255.240.0"}, {"gateway", nullptr}, {"type", "private"}});
    addresses.push_back({{"ip_address", settings.address},
                         {"netmask", "255.255.240.0"},
                         {"gateway", "203.0.113.1"},
                         {"type", "public"}});
  }
  for (const std::int64_t id : droplet.snapshots) snapshots.push_back(id);
  const bool ubuntu = droplet.image.starts_with("ubuntu");
  return {{"id", droplet.id},
          {"name", droplet.name},
          {"memory", size.memory},
          {"vcpus", size.vcpus},
          {"disk", size.disk},
          {"disk_info", {{{"type", "local"}, {"size", {{"amount", size.disk}, {"unit", "gib"}}}}}},
          {"locked", droplet.pending != 0 && droplet.status != "new"},
          {"status", droplet.status},
          {"kernel", nullptr},
          {"created_at", utc(droplet.made)},
          {"features", std::move(features)},
          {"backup_ids", json::array{}},
          {"next_backup_window", nullptr},
          {"snapshot_ids", std::move(snapshots)},
          {"image",
           {{"id", ubuntu ? 195'932'981 : 173'197'117},
            {"name", image_name(droplet.image).value_or("")},
            {"distribution", ubuntu ? "Ubuntu" : "Debian"},
            {"slug", droplet.image},
            {"public", true},
            {"regions", json::array{json::string(droplet.region)}},
            {"created_at", "2026-01-15T08:00:00Z"},
            {"type", "base"},
            {"min_disk_size", 7},
            {"size_gigabytes", 0.68},
            {"description", ""},
            {"tags", json::array{}},
            {"status", "available"}}},
          {"volume_ids", json::array{}},
          {"size", describe_size(size)},
          {"size_slug", droplet.size},
          {"networks", {{"v4", std::move(addresses)}, {"v6", json::array{}}}},
          {"region", describe_region(droplet.region)},
          {"tags", texts(droplet.tags)},
          {"vpc_uuid", "760e09ef-dc84-11e8-981e-3cfdfeaae000"}};
}

json::object DigitalOcean::describe(const Action& action) {
  const bool done = action.status != "in-progress";
  return {{"id", action.id},
          {"status", action.status},
          {"type", action.type},
          {"started_at", utc(action.begun)},
          {"completed_at", done ? json::value(utc(action.ends)) : json::value()},
          {"resource_id", action.droplet},
          {"resource_type", "droplet"},
          {"region", describe_region(action.region)},
          {"region_slug", action.region}};
}

json::object DigitalOcean::describe(const Key& key) {
  return {{"id", key.id}, {"fingerprint", key.fingerprint}, {"public_key", key.public_key}, {"name", key.name}};
}

json::object DigitalOcean::describe(const Snapshot& snapshot, bool of_droplet) {
  json::object out{{"name", snapshot.name},
                   {"created_at", utc(snapshot.made)},
                   {"regions", json::array{json::string(snapshot.region)}},
                   {"min_disk_size", snapshot.disk},
                   {"size_gigabytes", 2.34}};
  if (of_droplet) {
    out["id"] = snapshot.id;
    out["type"] = "snapshot";
  } else {
    out["id"] = std::to_string(snapshot.id);
    out["resource_id"] = std::to_string(snapshot.droplet);
    out["resource_type"] = "droplet";
    out["tags"] = json::array{};
  }
  return out;
}

json::object DigitalOcean::account() const {
  return {{"droplet_limit", settings.droplet_limit},
          {"floating_ip_limit", 3},
          {"email", "operator@example.org"},
          {"name", "The operator"},
          {"uuid", "b6fr89dbf6d9156cace5f3c78dc9851d957381ef"},
          {"email_verified", true},
          {"status", "active"},
          {"status_message", ""},
          {"team", {{"uuid", "5df3e3004a17e242b7c20ca6c9fc25b701a47ece"}, {"name", "My Team"}}}};
}

json::object DigitalOcean::snapshot() const {
  json::array droplets, keys;
  for (const auto& [id, droplet] : droplets_) {
    json::object one = describe(droplet);
    one["sandbox"] = {{"user_data", droplet.user_data},
                      {"ssh_keys", json::array(droplet.keys.begin(), droplet.keys.end())}};
    droplets.push_back(std::move(one));
  }
  for (const auto& [id, key] : keys_) keys.push_back(describe(key));
  return {{"droplets", std::move(droplets)}, {"keys", std::move(keys)}};
}

void DigitalOcean::clear() {
  droplets_.clear();
  actions_.clear();
  keys_.clear();
  snapshots_.clear();
  settings = {};
}

}  // namespace detent::sandbox
