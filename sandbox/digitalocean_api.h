// DigitalOcean's API over the account in memory: operations, authentication, error bodies, pages, limits.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/server.h"
#include "sandbox/digitalocean.h"
#include "sandbox/faults.h"

namespace detent::sandbox {

/// One request, taken apart.
struct DigitalOceanCall {
  std::string method;
  std::string path;                   // with /v2, without query
  std::vector<std::string> segments;  // behind /v2
  http::Headers query;
  std::string base;  // of links: "http://127.0.0.1:7070/digitalocean"
  std::string token;
  json::value body;  // null: none
  bool malformed = false, not_json = false;

  const std::string* parameter(std::string_view name) const { return http::find_header(query, name); }
};

/// `path` is what follows "/digitalocean".
DigitalOceanCall parse_digitalocean_call(const http::Incoming& in, std::string_view path);

/// Requests of the last minute, hour or less: each counts until it is that old.
class SlidingLimit {
 public:
  SlidingLimit(std::size_t most, Millis window) : most_(most), window_(window) {}
  /// Counts one, where there is room.
  bool take(Millis mono);
  std::size_t limit() const { return most_; }
  std::size_t remaining() const { return most_ - taken_.size(); }
  /// Until the oldest no longer counts.
  Millis oldest_ends_in(Millis mono) const { return taken_.empty() ? Millis(0) : taken_.front() + window_ - mono; }

 private:
  std::size_t most_;
  Millis window_;
  std::deque<Millis> taken_;
};

class DigitalOceanApi {
 public:
  explicit DigitalOceanApi(DigitalOcean& ocean) : ocean_(ocean) {}

  /// Answers, or answers with the fault, which is of Kind::Status.
  http::Outgoing answer(const DigitalOceanCall& call, const Fault* fault, Now now);
  void clear() { limits_.clear(); }

 private:
  using Out = http::Outgoing;
  struct Operation;
  static const Operation kOperations[];

  /// Those of one token: DigitalOcean's own numbers.
  struct Limits {
    SlidingLimit hour{5'000, std::chrono::hours(1)};
    SlidingLimit minute{250, std::chrono::minutes(1)};
    SlidingLimit key_lists{10, std::chrono::minutes(1)};
  };

  Out account(const DigitalOceanCall&, Now);
  Out list_keys(const DigitalOceanCall&, Now);
  Out add_key(const DigitalOceanCall&, Now);
  Out list_droplets(const DigitalOceanCall&, Now);
  Out create_droplets(const DigitalOceanCall&, Now);
  Out destroy_tagged(const DigitalOceanCall&, Now);
  Out get_droplet(const DigitalOceanCall&, Now);
  Out destroy_droplet(const DigitalOceanCall&, Now);
  Out list_actions(const DigitalOceanCall&, Now);
  Out act(const DigitalOceanCall&, Now);
  Out get_action(const DigitalOceanCall&, Now);
  Out list_snapshots(const DigitalOceanCall&, Now);
  Out list_droplet_snapshots(const DigitalOceanCall&, Now);

  /// The droplet that the path names, as far as reads show it; or nullptr.
  DigitalOcean::Droplet* named(const DigitalOceanCall& call, Now now);

  DigitalOcean& ocean_;
  std::map<std::string, Limits> limits_;  // by token
};

}  // namespace detent::sandbox
