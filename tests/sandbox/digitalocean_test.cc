#include "sandbox/digitalocean.h"

#include <gmock/gmock.h>

#include <thread>

#include "sandbox/digitalocean_api.h"
#include "tests/sandbox/city.h"

namespace detent::sandbox {
namespace {

constexpr const char* kKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2tKIZL2YMuRMPvQ3aNlVqjLuWjs8nzVZPfvXlUZ3qF operator@example.org";

class DigitalOceanTest : public City {
 protected:
  Said ocean(const std::string& method, const std::string& path, const json::value& body = {},
             const std::string& token = "dop_v1_test") {
    http::Request request{.method = method, .url = sandbox_.url() + "/digitalocean" + path};
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
    if (!body.is_null()) {
      request.headers.emplace_back("Content-Type", "application/json");
      request.body = json::serialize(body);
    }
    auto answer = client_.send(request);
    EXPECT_TRUE(answer) << answer.error().error.what;
    if (!answer) return {};
    Said said{.status = answer->status, .headers = answer->headers};
    if (!answer->body.empty()) said.body = json::parse(answer->body);
    return said;
  }
  json::object wanted(std::string name = "pawl-worker-1") {
    return {{"name", name},
            {"region", "nyc3"},
            {"size", "s-1vcpu-2gb"},
            {"image", "ubuntu-24-04-x64"},
            {"tags", {"detent-worker"}}};
  }
  void set(json::object settings) { ASSERT_EQ(control("digitalocean", settings).status, 200); }
  /// Looks, without using up the token's requests, until the only droplet is so.
  void wait_until(std::string_view key, const json::value& value) {
    while (ask("GET", "/control/digitalocean").object().at("droplets").at(0).at(key) != value)
      std::this_thread::yield();
  }
  std::string why(const json::value& body) {
    Said said = ocean("POST", "/v2/droplets", body);
    return said.status == 202 ? "taken" : std::to_string(said.status) + " " + text_of(said.object(), "message");
  }
};

TEST_F(DigitalOceanTest, ADropletIsNewWithoutAddressAndThenActiveWithOne) {
  set({{"active_after", 0.3}, {"address", "127.0.0.9"}});
  Said made = ocean("POST", "/v2/droplets", wanted());
  ASSERT_EQ(made.status, 202);
  json::object droplet = made.object().at("droplet").as_object();
  EXPECT_EQ(droplet.at("status"), "new");
  EXPECT_TRUE(droplet.at("networks").at("v4").as_array().empty());
  EXPECT_EQ(droplet.at("size").at("price_monthly"), 12.0);
  const json::value link = made.object().at("links").at("actions").at(0);
  EXPECT_EQ(link.at("rel"), "create");
  const std::string action = "/v2/actions/" + std::to_string(link.at("id").as_int64());
  EXPECT_THAT(std::string(link.at("href").as_string()), testing::EndsWith(action));
  EXPECT_EQ(ocean("GET", action).object().at("action").at("status"), "in-progress");
  wait_until("status", "active");
  EXPECT_EQ(ocean("GET", action).object().at("action").at("status"), "completed");
  droplet =
      ocean("GET", "/v2/droplets/" + std::to_string(droplet.at("id").as_int64())).object().at("droplet").as_object();
  EXPECT_EQ(droplet.at("status"), "active");
  EXPECT_EQ(droplet.at("networks").at("v4").at(1).at("ip_address"), "127.0.0.9");
  EXPECT_EQ(droplet.at("networks").at("v4").at(1).at("type"), "public");
}

TEST_F(DigitalOceanTest, NamesAreNotUnique) {
  ASSERT_EQ(why(wanted()), "taken");
  ASSERT_EQ(why(wanted()), "taken");
  EXPECT_EQ(ocean("GET", "/v2/droplets?name=PAWL-worker-1").object().at("droplets").as_array().size(), 2u)
      << "whatever the case";
  EXPECT_EQ(ocean("GET", "/v2/droplets?name=pawl-worker").object().at("droplets").as_array().size(), 0u)
      << "whole names";
  EXPECT_EQ(ocean("GET", "/v2/droplets?tag_name=detent-worker").object().at("meta").at("total"), 2);
  EXPECT_EQ(ocean("GET", "/v2/droplets?tag_name=detent-worker&name=x").status, 422);
}

TEST_F(DigitalOceanTest, RefusesWhatTheDocumentDoesNotAllow) {
  const auto with = [&](std::string_view key, json::value value) {
    json::object body = wanted();
    body[key] = std::move(value);
    return why(body);
  };
  EXPECT_EQ(with("name", "pawl_worker"), "422 Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)");
  EXPECT_EQ(with("name", "pawl-"), "422 Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)");
  EXPECT_EQ(with("size", "s-9vcpu"), "422 You specified an invalid size for Droplet creation.");
  EXPECT_EQ(with("image", "ubuntu-99"), "422 You specified an invalid image for Droplet creation.");
  EXPECT_EQ(with("region", "mars1"), "422 You specified an invalid region for Droplet creation.");
  EXPECT_EQ(with("ssh_keys", {7}), "422 7 are invalid key identifiers for Droplet creation.");
  EXPECT_EQ(with("tags", {"a b"}), "422 Tag names may only contain letters, numbers, colons, dashes, and underscores.");
  EXPECT_EQ(with("user_data", json::string(65'537, 'x')), "422 user_data is too long (maximum is 64 KiB).");
  EXPECT_EQ(with("userdata", "x"), "422 userdata is not a known attribute.");
  EXPECT_EQ(with("names", {"a", "b"}), "422 name and names cannot be used together.");
  EXPECT_EQ(with("monitoring", "yes"), "422 monitoring must be true or false.");
  EXPECT_EQ(why(json::object{{"name", "a"}}), "422 You specified an invalid size for Droplet creation.");
  EXPECT_EQ(ocean("GET", "/v2/droplets?per_page=201").status, 422);
  EXPECT_EQ(ocean("GET", "/v2/droplets?tagname=x").status, 422);
  EXPECT_EQ(ocean("GET", "/v2/sizes?").status, 404);
  set({{"droplet_limit", 0}});
  EXPECT_EQ(why(wanted()), "422 creating this/these droplet(s) will exceed your droplet limit");
}

TEST_F(DigitalOceanTest, RefusesWhoIsNotKnown) {
  for (const char* token : {"", "dop_v1_bad"}) {
    Said said = ocean("GET", "/v2/account", {}, token);
    EXPECT_EQ(said.status, 401);
    EXPECT_EQ(said.object(), (json::object{{"id", "unauthorized"}, {"message", "Unable to authenticate you."}}));
  }
  EXPECT_EQ(ocean("GET", "/v2/account").object().at("account").at("status"), "active");
}

TEST_F(DigitalOceanTest, AKeyIsTakenOnceAndHasTheFingerprintOfItsBytes) {
  Said made = ocean("POST", "/v2/account/keys", {{"name", "mine"}, {"public_key", kKey}});
  ASSERT_EQ(made.status, 201);
  const json::object key = made.object().at("ssh_key").as_object();
  EXPECT_THAT(text_of(key, "fingerprint"), testing::MatchesRegex("([0-9a-f]{2}:){15}[0-9a-f]{2}"));
  Said again = ocean("POST", "/v2/account/keys", {{"name", "other"}, {"public_key", kKey}});
  EXPECT_EQ(again.status, 422);
  EXPECT_EQ(text_of(again.object(), "message"), "SSH Key is already in use on your account");
  EXPECT_EQ(ocean("POST", "/v2/account/keys", {{"name", "x"}, {"public_key", "ssh-rsa nonsense"}}).status, 422);
  json::object body = wanted();
  body["ssh_keys"] = json::array{key.at("fingerprint")};
  EXPECT_EQ(why(body), "taken");
  body["ssh_keys"] = json::array{key.at("id")};
  EXPECT_EQ(why(body), "taken");
}

TEST_F(DigitalOceanTest, ListsComeInPages) {
  for (int i = 0; i < 5; ++i) ASSERT_EQ(why(wanted("worker-" + std::to_string(i))), "taken");
  Said first = ocean("GET", "/v2/droplets?per_page=2&tag_name=detent-worker");
  EXPECT_EQ(first.object().at("droplets").as_array().size(), 2u);
  EXPECT_EQ(first.object().at("meta").at("total"), 5);
  const json::object pages = first.object().at("links").at("pages").as_object();
  EXPECT_FALSE(pages.contains("prev"));
  EXPECT_THAT(text_of(pages, "next"),
              testing::HasSubstr("/digitalocean/v2/droplets?page=2&per_page=2&tag_name=detent-worker"));
  Said last = ocean("GET", "/v2/droplets?per_page=2&page=3");
  EXPECT_EQ(last.object().at("droplets").as_array().size(), 1u);
  EXPECT_FALSE(last.object().at("links").at("pages").as_object().contains("next"));
  EXPECT_EQ(ocean("GET", "/v2/droplets").object().at("links"), json::object{}) << "one page has no links";
}

TEST_F(DigitalOceanTest, ASnapshotLocksItsDropletUntilItIsDone) {
  set({{"active_after", 0}, {"action_takes", 0.3}});
  const auto id = ocean("POST", "/v2/droplets", wanted()).object().at("droplet").at("id").as_int64();
  const std::string path = "/v2/droplets/" + std::to_string(id);
  Said begun = ocean("POST", path + "/actions", {{"type", "snapshot"}, {"name", "before"}});
  ASSERT_EQ(begun.status, 201);
  EXPECT_EQ(begun.object().at("action").at("status"), "in-progress");
  EXPECT_EQ(ocean("POST", path + "/actions", {{"type", "snapshot"}}).status, 422);
  EXPECT_EQ(ocean("DELETE", path).status, 422);
  EXPECT_EQ(ocean("GET", path).object().at("droplet").at("locked"), true);
  wait_until("locked", false);
  EXPECT_EQ(ocean("GET", path + "/snapshots").object().at("snapshots").at(0).at("name"), "before");
  EXPECT_EQ(ocean("GET", "/v2/snapshots?resource_type=droplet").object().at("snapshots").at(0).at("resource_id"),
            json::string(std::to_string(id)));
  EXPECT_EQ(ocean("POST", path + "/actions", {{"type", "paint"}}).status, 422);
  EXPECT_EQ(ocean("DELETE", path).status, 204);
  EXPECT_EQ(ocean("DELETE", path).status, 404);
}

TEST_F(DigitalOceanTest, ACreateWhoseAnswerIsLostWasTaken) {
  fault({{"service", "digitalocean"}, {"kind", "accept-then-reset"}, {"channel", "droplets"}, {"method", "POST"}});
  http::Request request{.method = "POST", .url = sandbox_.url() + "/digitalocean/v2/droplets"};
  request.headers = {{"Authorization", "Bearer t"}, {"Content-Type", "application/json"}};
  request.body = json::serialize(wanted());
  ASSERT_FALSE(client_.send(request));
  EXPECT_EQ(ocean("GET", "/v2/droplets?name=pawl-worker-1").object().at("meta").at("total"), 1);
}

TEST_F(DigitalOceanTest, ADropletJustMadeMayNotBeSeenYet) {
  set({{"hidden_for", 0.3}, {"active_after", 0.4}});
  const auto id = ocean("POST", "/v2/droplets", wanted()).object().at("droplet").at("id").as_int64();
  EXPECT_EQ(ocean("GET", "/v2/droplets/" + std::to_string(id)).status, 404);
  EXPECT_EQ(ocean("GET", "/v2/droplets").object().at("meta").at("total"), 0);
  wait_until("status", "active");
  EXPECT_EQ(ocean("GET", "/v2/droplets/" + std::to_string(id)).status, 200);
  EXPECT_EQ(control("digitalocean", {{"hidden", 3}}).status, 400);
}

TEST_F(DigitalOceanTest, SaysHowManyRequestsAreLeft) {
  Said said = ocean("GET", "/v2/account");
  EXPECT_EQ(said.header("ratelimit-limit"), "5000");
  EXPECT_EQ(said.header("ratelimit-remaining"), "4999");
  EXPECT_EQ(said.header("retry-after"), "");
  for (int i = 0; i < 10; ++i) ASSERT_EQ(ocean("GET", "/v2/account/keys").status, 200);
  EXPECT_EQ(ocean("GET", "/v2/account/keys").status, 429) << "its own limit of 10 a minute";
  EXPECT_EQ(ocean("GET", "/v2/account").status, 200);
  fault({{"service", "digitalocean"}, {"kind", "429"}, {"retry_after", 7}});
  said = ocean("GET", "/v2/account");
  EXPECT_EQ(said.status, 429);
  EXPECT_EQ(said.header("retry-after"), "7");
  EXPECT_EQ(text_of(said.object(), "id"), "too_many_requests");
}

TEST(SlidingLimit, EachRequestCountsUntilItIsAsOldAsTheWindow) {
  SlidingLimit limit(2, Millis(1'000));
  EXPECT_TRUE(limit.take(Millis(0)));
  EXPECT_TRUE(limit.take(Millis(600)));
  EXPECT_FALSE(limit.take(Millis(999)));
  EXPECT_EQ(limit.oldest_ends_in(Millis(999)), Millis(1));
  EXPECT_TRUE(limit.take(Millis(1'000)));
  EXPECT_FALSE(limit.take(Millis(1'500)));
  EXPECT_TRUE(limit.take(Millis(1'600)));
}

}  // namespace
}  // namespace detent::sandbox
