// DigitalOcean's API: the few operations that provisioning needs, as calls.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/provision/droplet.h"
#include "cli/provision/waiting.h"
#include "http/client.h"

namespace detent::provision {

/// Why a change was not confirmed. `maybe`: it may have been made all the same.
struct Unconfirmed {
  Error error;
  bool maybe = false;
};
[[noreturn]] inline void throw_exception_from_error(const Unconfirmed& failure, const boost::source_location&) {
  throw Failure(failure.error.what);
}

struct Created {
  Droplet droplet;
  std::int64_t action = 0;  // 0: the answer named none
};

/// Reads are repeated where the network or the service fails (a few times, with back-off; after a 429 as long as it
/// says). A change is repeated after a 429 alone, which is a proof that it was not made. One thread.
class Api {
 public:
  struct Options {
    std::string base;   // "https://api.digitalocean.com/v2"
    std::string token;  // never shown
    int attempts = 6;   // of a read
    Millis longest_pause{120'000};
    /// Hears of each request before it is sent: "GET /v2/account".
    std::function<void(const std::string&)> told = {};
  };

  Api(http::HttpClient& client, Time& time, Options options)
      : client_(client), time_(time), options_(std::move(options)) {}

  /// The account's status: "active", "warning", "locked".
  Result<std::string> account_status();
  Result<std::vector<AccountKey>> keys();
  boost::system::result<AccountKey, Unconfirmed> add_key(const std::string& name, const std::string& public_key);

  Result<std::vector<Droplet>> droplets_named(std::string_view name);
  Result<std::vector<Droplet>> droplets_tagged(std::string_view tag);
  /// An error with code 404 where there is none.
  Result<Droplet> droplet(std::int64_t id);
  Result<Action> action(std::int64_t id);
  boost::system::result<Created, Unconfirmed> create(const boost::json::object& body);
  boost::system::result<Action, Unconfirmed> snapshot(std::int64_t droplet, const std::string& name);
  /// Also where it was gone already.
  boost::system::result<void, Unconfirmed> destroy(std::int64_t droplet);

  /// "/v2/droplets": the path as the service has it.
  std::string path_of(std::string_view path) const;

 private:
  Result<boost::json::value> read(const std::string& path);
  Result<boost::json::array> read_all(const std::string& path, std::string_view list);
  boost::system::result<boost::json::value, Unconfirmed> change(const std::string& method, const std::string& path,
                                                                const boost::json::value& body);
  http::Answer send(const std::string& method, const std::string& path, const boost::json::value& body);

  http::HttpClient& client_;
  Time& time_;
  Options options_;
};

}  // namespace detent::provision
