#include "sandbox/digitalocean_api.h"

#include <algorithm>

#include "sandbox/digitalocean_answers.h"
#include "sandbox/digitalocean_form.h"

namespace detent::sandbox {

namespace {
using Out = http::Outgoing;

bool same_word(std::string_view one, std::string_view other) { return http::same_name(one, other); }

bool tagged(const DigitalOcean::Droplet& droplet, std::string_view tag) {
  return std::any_of(droplet.tags.begin(), droplet.tags.end(),
                     [&](const std::string& one) { return same_word(one, tag); });
}
}  // namespace

DigitalOceanCall parse_digitalocean_call(const http::Incoming& in, std::string_view path) {
  DigitalOceanCall call{.method = in.method, .path = std::string(path), .query = in.query};
  std::string_view rest = path;
  rest.remove_prefix(std::min<std::size_t>(rest.size(), 3));  // "/v2"
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/', 1), rest.size());
    if (end > 1) call.segments.emplace_back(rest.substr(1, end - 1));
    rest.remove_prefix(end);
  }
  call.base = "http://" + std::string(in.header("Host")) + "/digitalocean";
  if (const std::string_view given = in.header("Authorization"); given.starts_with("Bearer "))
    call.token = given.substr(7);
  if (in.body.empty()) return call;
  boost::system::error_code failed;
  call.body = json::parse(in.body, failed);
  call.malformed = failed.failed() || !call.body.is_object();
  call.not_json = !in.header("Content-Type").starts_with("application/json");
  return call;
}

bool SlidingLimit::take(Millis mono) {
  while (!taken_.empty() && taken_.front() + window_ <= mono) taken_.pop_front();
  if (taken_.size() >= most_) return false;
  taken_.push_back(mono);
  return true;
}

struct DigitalOceanApi::Operation {
  std::string_view method;
  std::vector<std::string_view> path;     // "*" stands for an id
  std::vector<std::string_view> queries;  // what it takes
  Out (DigitalOceanApi::*answer)(const DigitalOceanCall&, Now);
};

const DigitalOceanApi::Operation DigitalOceanApi::kOperations[] = {
    {"GET", {"account"}, {}, &DigitalOceanApi::account},
    {"GET", {"account", "keys"}, {"page", "per_page"}, &DigitalOceanApi::list_keys},
    {"POST", {"account", "keys"}, {}, &DigitalOceanApi::add_key},
    {"GET", {"droplets"}, {"page", "per_page", "name", "tag_name", "type"}, &DigitalOceanApi::list_droplets},
    {"POST", {"droplets"}, {}, &DigitalOceanApi::create_droplets},
    {"DELETE", {"droplets"}, {"tag_name"}, &DigitalOceanApi::destroy_tagged},
    {"GET", {"droplets", "*"}, {}, &DigitalOceanApi::get_droplet},
    {"DELETE", {"droplets", "*"}, {}, &DigitalOceanApi::destroy_droplet},
    {"GET", {"droplets", "*", "actions"}, {"page", "per_page"}, &DigitalOceanApi::list_actions},
    {"POST", {"droplets", "*", "actions"}, {}, &DigitalOceanApi::act},
    {"GET", {"droplets", "*", "snapshots"}, {"page", "per_page"}, &DigitalOceanApi::list_droplet_snapshots},
    {"GET", {"actions", "*"}, {}, &DigitalOceanApi::get_action},
    {"GET", {"snapshots"}, {"page", "per_page", "resource_type"}, &DigitalOceanApi::list_snapshots},
};

Out DigitalOceanApi::answer(const DigitalOceanCall& call, const Fault* fault, Now now) {
  ocean_.advance(now);
  if (call.token.empty() || call.token.find("bad") != call.token.npos) return ocean_unauthorized();
  if (fault) return ocean_fault(*fault, now);
  const auto fits = [&](const Operation& operation) {
    return operation.method == call.method &&
           std::equal(operation.path.begin(), operation.path.end(), call.segments.begin(), call.segments.end(),
                      [](std::string_view wanted, const std::string& given) {
                        return wanted == "*" ? parse_whole(given).value_or(0) > 0 : wanted == given;
                      });
  };
  Limits& limits = limits_.try_emplace(call.token).first->second;
  const auto finish = [&](Out out) {
    out.headers.emplace_back("ratelimit-limit", std::to_string(limits.hour.limit()));
    out.headers.emplace_back("ratelimit-remaining", std::to_string(limits.hour.remaining()));
    const Millis reset = now.wall + limits.hour.oldest_ends_in(now.mono);
    out.headers.emplace_back("ratelimit-reset", std::to_string(reset.count() / 1000));
    return out;
  };
  if (!limits.hour.take(now.mono)) return finish(ocean_too_many());
  if (!limits.minute.take(now.mono)) {  // only the burst's refusal says when to come again
    Out out = finish(ocean_too_many());
    const Millis wait = limits.minute.oldest_ends_in(now.mono);
    out.headers.emplace_back("retry-after", std::to_string((wait.count() + 999) / 1000));
    return out;
  }
  const auto found = std::find_if(std::begin(kOperations), std::end(kOperations), fits);
  if (found == std::end(kOperations)) return finish(ocean_missing());
  for (const auto& [name, value] : call.query) {
    if (std::find(found->queries.begin(), found->queries.end(), name) == found->queries.end())
      return finish(ocean_unprocessable(name + " is not a known parameter."));
  }
  if (call.not_json || call.malformed)
    return finish(ocean_refusal(400, "bad_request", "The request body is not valid JSON."));
  if (!call.body.is_null() && call.method != "POST")
    return finish(ocean_unprocessable("this operation takes no body."));
  if (call.body.is_null() && call.method == "POST") return finish(ocean_unprocessable("a body is required."));
  if (found->answer == &DigitalOceanApi::list_keys && !limits.key_lists.take(now.mono)) return finish(ocean_too_many());
  return finish((this->*found->answer)(call, now));
}

DigitalOcean::Droplet* DigitalOceanApi::named(const DigitalOceanCall& call, Now now) {
  DigitalOcean::Droplet* droplet = ocean_.find_droplet(parse_whole(call.segments[1]).value_or(0));
  return droplet && ocean_.shown(*droplet, now) ? droplet : nullptr;
}

Out DigitalOceanApi::account(const DigitalOceanCall&, Now) { return ocean_answer({{"account", ocean_.account()}}); }

Out DigitalOceanApi::list_keys(const DigitalOceanCall& call, Now) {
  json::array all;
  for (const auto& [id, key] : ocean_.keys()) all.push_back(DigitalOcean::describe(key));
  return ocean_page(call, "ssh_keys", std::move(all));
}

Out DigitalOceanApi::add_key(const DigitalOceanCall& call, Now) {
  const json::object& body = call.body.get_object();
  if (const std::string key = unknown_member(body, {"name", "public_key"}); !key.empty())
    return ocean_unprocessable(key + " is not a known attribute.");
  const std::string name = text_of(body, "name"), text = text_of(body, "public_key");
  if (name.empty()) return ocean_unprocessable("Name can't be blank");
  const auto fingerprint = key_fingerprint(text);
  if (!fingerprint) return ocean_unprocessable(fingerprint.error().what);
  for (const auto& [id, key] : ocean_.keys()) {
    if (key.fingerprint == *fingerprint) return ocean_unprocessable("SSH Key is already in use on your account");
  }
  return ocean_answer({{"ssh_key", DigitalOcean::describe(ocean_.add_key(name, text, *fingerprint))}}, 201);
}

Out DigitalOceanApi::list_droplets(const DigitalOceanCall& call, Now now) {
  const std::string* name = call.parameter("name");
  const std::string* tag = call.parameter("tag_name");
  const std::string* type = call.parameter("type");
  if (tag && (name || type)) return ocean_unprocessable("tag_name cannot be combined with name or type.");
  if (type && *type != "droplets" && *type != "gpus") return ocean_unprocessable("type must be droplets or gpus.");
  json::array all;
  for (const auto& [id, droplet] : ocean_.droplets()) {
    if (!ocean_.shown(droplet, now) || (type && *type == "gpus")) continue;
    if ((name && !same_word(*name, droplet.name)) || (tag && !tagged(droplet, *tag))) continue;
    all.push_back(ocean_.describe(droplet));
  }
  return ocean_page(call, "droplets", std::move(all));
}

Out DigitalOceanApi::create_droplets(const DigitalOceanCall& call, Now now) {
  auto drafts = droplets_from(call.body.get_object(), ocean_);
  if (!drafts) return ocean_unprocessable(drafts.error().what);
  json::array droplets, actions;
  for (DigitalOcean::Droplet& draft : *drafts) {
    const DigitalOcean::Droplet& made = ocean_.create(std::move(draft), now);
    droplets.push_back(ocean_.describe(made));
    actions.push_back({{"id", made.pending},
                       {"rel", drafts->size() > 1 ? "multiple_create" : "create"},
                       {"href", call.base + "/v2/actions/" + std::to_string(made.pending)}});
  }
  json::object out;
  if (call.body.get_object().contains("names")) {
    out["droplets"] = std::move(droplets);
  } else {
    out["droplet"] = std::move(droplets[0]);
  }
  out["links"] = {{"actions", std::move(actions)}};
  return ocean_answer(std::move(out), 202);
}

Out DigitalOceanApi::get_droplet(const DigitalOceanCall& call, Now now) {
  const DigitalOcean::Droplet* droplet = named(call, now);
  return droplet ? ocean_answer({{"droplet", ocean_.describe(*droplet)}}) : ocean_missing();
}

Out DigitalOceanApi::destroy_droplet(const DigitalOceanCall& call, Now now) {
  const DigitalOcean::Droplet* droplet = named(call, now);
  if (!droplet) return ocean_missing();
  if (droplet->pending) return ocean_unprocessable("Droplet currently has a pending event.");
  ocean_.destroy(droplet->id);
  return ocean_nothing();
}

Out DigitalOceanApi::destroy_tagged(const DigitalOceanCall& call, Now now) {
  const std::string* tag = call.parameter("tag_name");
  if (!tag) return ocean_unprocessable("tag_name is required.");
  std::vector<std::int64_t> doomed;
  for (const auto& [id, droplet] : ocean_.droplets()) {
    if (ocean_.shown(droplet, now) && tagged(droplet, *tag)) doomed.push_back(id);
  }
  for (const std::int64_t id : doomed) ocean_.destroy(id);
  return ocean_nothing();
}

Out DigitalOceanApi::list_actions(const DigitalOceanCall& call, Now now) {
  const DigitalOcean::Droplet* droplet = named(call, now);
  if (!droplet) return ocean_missing();
  json::array all;
  for (const auto& [id, action] : ocean_.actions()) {
    if (action.droplet == droplet->id) all.push_back(DigitalOcean::describe(action));
  }
  return ocean_page(call, "actions", std::move(all));
}

Out DigitalOceanApi::act(const DigitalOceanCall& call, Now now) {
  DigitalOcean::Droplet* droplet = named(call, now);
  if (!droplet) return ocean_missing();
  const json::object& body = call.body.get_object();
  if (const std::string key = unknown_member(body, {"type", "name"}); !key.empty())
    return ocean_unprocessable(key + " is not a known attribute.");
  const std::string type = text_of(body, "type"), name = text_of(body, "name");
  if (type != "snapshot" && type != "shutdown" && type != "power_off" && type != "power_on" && type != "reboot" &&
      type != "power_cycle")
    return ocean_unprocessable("You specified an invalid action type.");
  if (droplet->pending) return ocean_unprocessable("Droplet currently has a pending event.");
  if (type == "power_on" && droplet->status == "active") return ocean_unprocessable("Droplet is already powered on.");
  if ((type == "power_off" || type == "shutdown") && droplet->status == "off")
    return ocean_unprocessable("Droplet is already powered off.");
  return ocean_answer({{"action", DigitalOcean::describe(ocean_.begin(*droplet, type, name, now))}}, 201);
}

Out DigitalOceanApi::get_action(const DigitalOceanCall& call, Now) {
  const DigitalOcean::Action* action = ocean_.find_action(parse_whole(call.segments[1]).value_or(0));
  return action ? ocean_answer({{"action", DigitalOcean::describe(*action)}}) : ocean_missing();
}

Out DigitalOceanApi::list_snapshots(const DigitalOceanCall& call, Now) {
  const std::string* type = call.parameter("resource_type");
  if (type && *type != "droplet" && *type != "volume")
    return ocean_unprocessable("resource_type must be droplet or volume.");
  json::array all;
  for (const auto& [id, snapshot] : ocean_.snapshots()) {
    if (!type || *type == "droplet") all.push_back(DigitalOcean::describe(snapshot, false));
  }
  return ocean_page(call, "snapshots", std::move(all));
}

Out DigitalOceanApi::list_droplet_snapshots(const DigitalOceanCall& call, Now now) {
  const DigitalOcean::Droplet* droplet = named(call, now);
  if (!droplet) return ocean_missing();
  json::array all;
  for (const auto& [id, snapshot] : ocean_.snapshots()) {
    if (snapshot.droplet == droplet->id) all.push_back(DigitalOcean::describe(snapshot, true));
  }
  return ocean_page(call, "snapshots", std::move(all));
}

}  // namespace detent::sandbox
