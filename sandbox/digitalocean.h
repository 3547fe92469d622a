// DigitalOcean in memory: one account's keys, droplets, actions and snapshots. No I/O and no clock: what takes time
// there is done when the time handed in says so.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "sandbox/json.h"

namespace detent::sandbox {

class DigitalOcean {
 public:
  struct Settings {
    Millis active_after{2'000};         // from `new` to `active`
    Millis hidden_for{0};               // a droplet just made is in no list and 404 by its id
    Millis action_takes{1'000};         // a snapshot and the like
    std::string address = "127.0.0.1";  // of every droplet, type public
    std::int64_t droplet_limit = 25;

    /// From the body of POST /control/digitalocean (durations in seconds); Error says which member is wrong.
    Result<> change(const json::object& body);
  };

  struct Droplet {
    std::int64_t id = 0;
    std::string name, region, size, image;
    std::vector<std::string> tags;
    std::vector<std::int64_t> keys;  // of the account
    std::string user_data;
    std::string status = "new";
    std::int64_t pending = 0;  // the action that locks it; 0: none
    std::vector<std::int64_t> snapshots;
    bool monitoring = false, backups = false, ipv6 = false;
    Millis made{0};       // wall
    Millis made_mono{0};  // of the same moment
  };

  struct Action {
    std::int64_t id = 0, droplet = 0;
    std::string type, region;
    std::string snapshot_name;  // of a snapshot
    std::string status = "in-progress";
    Millis begun{0}, ends{0};  // wall
    Millis ends_mono{0};
  };

  struct Key {
    std::int64_t id = 0;
    std::string name, fingerprint, public_key;
  };

  struct Snapshot {
    std::int64_t id = 0, droplet = 0;
    std::string name, region;
    std::int64_t disk = 0;
    Millis made{0};
  };

  struct Size {
    std::string_view slug;
    std::int64_t memory, vcpus, disk;
    double transfer, monthly, hourly;
  };

  Settings settings;

  /// Brings all that takes time up to `now`.
  void advance(Now now);

  Droplet& create(Droplet draft, Now now);
  void destroy(std::int64_t droplet);
  /// Locks the droplet until it is done.
  Action& begin(Droplet& droplet, std::string type, std::string snapshot_name, Now now);
  Key& add_key(std::string name, std::string public_key, std::string fingerprint);

  Droplet* find_droplet(std::int64_t id);
  /// Whether reads show it yet.
  bool shown(const Droplet& droplet, Now now) const { return now.mono - droplet.made_mono >= settings.hidden_for; }
  const Action* find_action(std::int64_t id) const;
  const std::map<std::int64_t, Droplet>& droplets() const { return droplets_; }
  const std::map<std::int64_t, Action>& actions() const { return actions_; }
  const std::map<std::int64_t, Key>& keys() const { return keys_; }
  const std::map<std::int64_t, Snapshot>& snapshots() const { return snapshots_; }

  static const Size* find_size(std::string_view slug);
  static bool has_region(std::string_view slug);
  /// The image's name ("24.04 (LTS) x64"), or nothing where there is no such image.
  static std::optional<std::string_view> image_name(std::string_view slug);

  // In the API's form.
  json::object describe(const Droplet& droplet) const;
  static json::object describe(const Action& action);
  static json::object describe(const Key& key);
  /// As /v2/snapshots has it, or as /v2/droplets/{id}/snapshots does.
  static json::object describe(const Snapshot& snapshot, bool of_droplet);
  json::object account() const;

  /// For /control/digitalocean: the droplets with what the API does not tell.
  json::object snapshot() const;
  void clear();

 private:
  static json::object describe_region(std::string_view slug);
  static json::object describe_size(const Size& size);

  std::map<std::int64_t, Droplet> droplets_;
  std::map<std::int64_t, Action> actions_;
  std::map<std::int64_t, Key> keys_;
  std::map<std::int64_t, Snapshot> snapshots_;
  std::int64_t next_droplet_ = 510'000'001;
  std::int64_t next_action_ = 2'400'000'001;
  std::int64_t next_key_ = 41'000'001;
  std::int64_t next_snapshot_ = 180'000'001;
};

}  // namespace detent::sandbox
