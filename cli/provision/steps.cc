// The account's side of making a worker; the machine's is in steps_remote.cc.
#include "cli/provision/steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <istream>
#include <ostream>
#include <sstream>

#include "cli/text.h"

namespace detent::provision {

namespace {

constexpr Millis kFresh = std::chrono::minutes(10);  // a droplet this young may not be shown yet

[[noreturn]] void fail(const std::string& what) { throw Failure(what); }

}  // namespace

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) fail(system_error("cannot read " + file.string(), errno).what);
  return text.str();
}

bool asked(const std::string& question, std::istream& in, std::ostream& out) {
  out << question << " [y/N] " << std::flush;
  std::string answer;
  if (!std::getline(in, answer)) {
    out << "\n";
    fail("nobody answered; --yes asks nothing");
  }
  return answer == "y" || answer == "Y" || answer == "yes";
}

void Steps::run() {
  const std::string public_key = public_half(wanted_.ssh_key).value();
  if (wanted_.github) {
    const auto fits = check_github_env(content_of(*wanted_.github));
    if (!fits) fail(wanted_.github->string() + ": " + fits.error().what);
  }
  for (const auto& [name, file] : wanted_.secrets) content_of(file);
  if (wanted_.package) content_of(*wanted_.package);

  Found found = look(public_key);
  if (!files_) return show(found, public_key);
  if (!agreed(found)) fail("not confirmed; nothing was changed");
  if (found.to_snapshot) take_snapshot(*found.to_snapshot);
  if (!found.droplet) {
    if (!found.key) found.key = add_key(public_key);
    found.droplet = create(found.key->id);
  }
  const Droplet droplet = until_active(*found.droplet);
  const Ssh ssh(target(droplet));
  until_reached(ssh);
  until_booted(ssh);
  send_files(ssh);
  set_up(ssh);
  out_ << fmt::format("{} is ready: droplet {} at {}, ${:.2f}/month\n", droplet.name, droplet.id, droplet.address,
                      droplet.price_monthly);
}

Steps::Found Steps::look(const std::string& public_key) {
  const std::string status = api_.account_status().value();
  if (status != "active" && status != "warning")
    fail("the DigitalOcean account is " + plain(status) + ": nothing can be made in it");
  out_ << "DigitalOcean: the token is valid, the account is " << plain(status) << std::endl;
  Found found;
  const auto keys = api_.keys().value();
  if (const AccountKey* key = find_key(keys, public_key)) found.key = *key;
  out_ << "SSH key: " << wanted_.ssh_key.string()
       << (found.key ? fmt::format(", in the account as \"{}\"", plain(found.key->name)) : ", not in the account yet")
       << std::endl;
  found.droplet = existing();
  if (!wanted_.snapshot_of.empty()) found.to_snapshot = find_by_name_or_id(wanted_.snapshot_of);
  if (found.droplet)
    out_ << fmt::format("droplet: {} is there: {}", found.droplet->name, tell({*found.droplet})) << std::endl;
  return found;
}

Result<Standing> Steps::standing() {
  auto by_name = api_.droplets_named(wanted_.order.name);
  if (!by_name) return by_name.error();
  auto by_tag = api_.droplets_tagged(wanted_.order.tag);
  if (!by_tag) return by_tag.error();
  return standing_of(wanted_.order, std::move(*by_name), *by_tag);
}

std::optional<Droplet> Steps::single(const Standing& standing) const {
  const std::string& name = wanted_.order.name;
  switch (standing.kind) {
    case Standing::Kind::kNone:
      return std::nullopt;
    case Standing::Kind::kOne:
      return standing.found[0];
    case Standing::Kind::kSeveral:
      fail(fmt::format("{} droplets are called {}: {}. Destroy or rename all but one, then run this again",
                       standing.found.size(), name, tell(standing.found)));
    case Standing::Kind::kForeign:
      fail(
          fmt::format("a droplet called {} is there that was not made here: {}. Give it the tag {} to make it the "
                      "worker, or choose "
                      "another --name",
                      name, tell(standing.found), wanted_.order.tag));
  }
  return std::nullopt;
}

/// The droplet, if there is one: in the lists, or in what an earlier run remembers and the lists do not show yet.
std::optional<Droplet> Steps::existing() {
  std::optional<Droplet> droplet = single(standing().value());
  if (droplet || !files_) return droplet;
  const Memory memory = files_->read();
  const Millis age = time_.now().wall - memory.asked;
  if (memory.asked == Millis(0) || age < Millis(0) || age > kFresh) return std::nullopt;
  Patience patience = wanted_.listed;
  patience.longest = std::max(patience.between, patience.longest - age);
  out_ << "an earlier run asked for this droplet " << roughly(age) << " ago" << std::endl;
  const auto waited =
      wait_for("whether it was made", patience, time_, out_, [&]() -> Result<std::optional<std::string>> {
        auto now = standing();
        if (!now) return now.error();
        droplet = single(*now);
        return droplet ? std::optional<std::string>(droplet->name) : std::nullopt;
      });
  if (!waited && waited.error().code != ETIMEDOUT) fail(waited.error().what);
  return droplet;
}

Droplet Steps::find_by_name_or_id(const std::string& wanted) {
  if (std::all_of(wanted.begin(), wanted.end(), [](char c) { return c >= '0' && c <= '9'; }) && wanted.size() < 18)
    return api_.droplet(std::stoll(wanted)).value();
  const auto found = api_.droplets_named(wanted).value();
  if (found.empty()) fail("there is no droplet " + plain(wanted) + " to take a snapshot of");
  if (found.size() > 1)
    fail(fmt::format("{} droplets are called {}: {}. Name one by its id", found.size(), plain(wanted), tell(found)));
  return found[0];
}

bool Steps::agreed(const Found& found) const {
  const Order& order = wanted_.order;
  if (found.to_snapshot)
    out_ << fmt::format("a snapshot of {} will be taken first ($0.06 per GB and month)\n", found.to_snapshot->name);
  if (!found.droplet)
    out_ << fmt::format("{} will be made: {}, {}, {}, for {}\n", order.name, order.size, order.region, order.image,
                        price_text(order.size));
  if (found.droplet && !found.to_snapshot) return true;  // nothing that costs
  return wanted_.yes || asked("go on?", in_, out_);
}

void Steps::show(const Found& found, const std::string& public_key) const {
  const auto would = [&](const std::string& request, const boost::json::value& body) {
    out_ << "would send: " << request << "\n  " << boost::json::serialize(body) << "\n";
  };
  if (found.to_snapshot)
    would(fmt::format("POST {}", api_.path_of(fmt::format("/droplets/{}/actions", found.to_snapshot->id))),
          {{"type", "snapshot"}, {"name", "before-" + wanted_.order.name}});
  if (!found.droplet) {
    if (!found.key)
      would("POST " + api_.path_of("/account/keys"), {{"name", wanted_.order.name}, {"public_key", public_key}});
    boost::json::object body = create_request(wanted_.order, found.key ? found.key->id : 0);
    if (!found.key) body["ssh_keys"] = boost::json::array{"(the id of the key above)"};
    would("POST " + api_.path_of("/droplets"), body);
    out_ << "for " << price_text(wanted_.order.size) << "\n";
  }
  show_setup(found.droplet && !found.droplet->address.empty() ? found.droplet->address : "ADDRESS");
  out_ << "nothing was changed\n";
}

void Steps::take_snapshot(const Droplet& of) {
  const auto begun = api_.snapshot(of.id, "before-" + wanted_.order.name);
  if (!begun) fail("the snapshot of " + of.name + " was not begun: " + begun.error().error.what);
  const auto done = wait_for("the snapshot of " + of.name, wanted_.snapshot, time_, out_,
                             [&]() -> Result<std::optional<std::string>> {
                               const auto action = api_.action(begun->id);
                               if (!action) return action.error();
                               if (action->status == "errored")
                                 return Error{"DigitalOcean could not take the snapshot"};
                               return action->status == "completed" ? std::optional<std::string>("done") : std::nullopt;
                             });
  if (!done) fail(done.error().what);
}

AccountKey Steps::add_key(const std::string& public_key) {
  const auto added = api_.add_key(wanted_.order.name, public_key);
  if (added) {
    out_ << "SSH key: added to the account as \"" << plain(added->name) << "\"" << std::endl;
    return *added;
  }
  if (!added.error().maybe) fail(added.error().error.what);
  const auto keys = api_.keys().value();
  const AccountKey* key = find_key(keys, public_key);
  if (!key) fail(added.error().error.what);
  return *key;
}

Droplet Steps::create(std::int64_t key) {
  files_->write({.asked = time_.now().wall});
  const auto made = api_.create(create_request(wanted_.order, key));
  if (made) {
    files_->write({.droplet = made->droplet.id, .action = made->action, .asked = time_.now().wall});
    out_ << "droplet: " << made->droplet.name << " is being made, id " << made->droplet.id << std::endl;
    return made->droplet;
  }
  if (!made.error().maybe) {
    files_->forget();
    fail(made.error().error.what);
  }
  // DigitalOcean knows no idempotency key, and names are not unique: look, and never ask twice.
  out_ << made.error().error.what << std::endl;
  std::optional<Droplet> droplet;
  const auto seen = wait_for("whether it was made all the same", wanted_.listed, time_, out_,
                             [&]() -> Result<std::optional<std::string>> {
                               auto now = standing();
                               if (!now) return now.error();
                               droplet = single(*now);
                               return droplet ? std::optional<std::string>(droplet->name) : std::nullopt;
                             });
  if (!seen)
    fail(fmt::format("whether {} was made is not known ({}). Run this again: it looks before it asks",
                     wanted_.order.name, seen.error().what));
  files_->write({.droplet = droplet->id, .asked = time_.now().wall});
  out_ << "droplet: " << droplet->name << " was made, id " << droplet->id << std::endl;
  return *droplet;
}

Droplet Steps::until_active(const Droplet& droplet) {
  if (droplet.status == "off" || droplet.status == "archive")
    fail(fmt::format("{} (droplet {}) is {}: power it on, then run this again", droplet.name, droplet.id,
                     droplet.status));
  const Memory memory = files_->read();
  const std::int64_t action = memory.droplet == droplet.id ? memory.action : 0;
  Droplet now = droplet;
  const auto active =
      wait_for("the droplet to be active", wanted_.active, time_, out_, [&]() -> Result<std::optional<std::string>> {
        if (action) {
          const auto making = api_.action(action);
          if (!making && making.error().code != 404) return making.error();
          if (making && making->status == "errored")
            return Error{fmt::format(
                "DigitalOcean could not make droplet {}: see its control panel, then `detent worker destroy`",
                droplet.id)};
        }
        auto read = api_.droplet(droplet.id);
        if (!read && read.error().code == 404) return std::optional<std::string>();  // not shown yet
        if (!read) return read.error();
        now = *read;
        return now.status == "active" && !now.address.empty() ? std::optional(now.address) : std::nullopt;
      });
  if (!active) fail(active.error().what);
  return now;
}

}  // namespace detent::provision
