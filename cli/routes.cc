#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>

#include "base/units.h"
#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/publishing.h"
#include "cli/text.h"
#include "routing/router.h"

namespace detent {

namespace json = boost::json;

namespace {

struct Options {
  std::string type, severity = "info", source;
  std::vector<std::string> labels, to;
  bool needs_response = false;
  bool running = false;
};

Router router_of(const Config& config) {
  Result<Router> router = Router::compile(config);
  if (!router) throw Misconfigured(router.error().what);
  return std::move(*router);
}

Explained by_config(Invocation& invocation, const Options& options) {
  const auto severity = parse_severity(options.severity);
  if (!severity)
    throw Usage("--severity is one of info, notice, warning, error, critical; not \"" + options.severity + "\"");
  const auto given = pairs(options.labels, "--label");
  const std::vector<std::pair<std::string_view, std::string_view>> labels(given.begin(), given.end());
  return router_of(invocation.config())
      .explain({options.type, *severity, options.source, labels, options.needs_response});
}

Explained by_broker(Invocation& invocation, const Options& options) {
  json::object labels;
  for (const auto& [key, value] : pairs(options.labels, "--label")) labels[key] = value;
  BrokerClient client(invocation.endpoint(), invocation.deadline);
  const json::value answer = client.ask({{"command", "routes.explain"},
                                         {"type", options.type},
                                         {"severity", options.severity},
                                         {"source", options.source},
                                         {"labels", std::move(labels)},
                                         {"needs_response", options.needs_response}});
  Explained explained;
  for (const json::value& channel : list_of(answer, "channels"))
    explained.route.channels.emplace_back(channel.as_string());
  for (const json::value& line : list_of(answer, "why")) explained.why.emplace_back(line.as_string());
  return explained;
}

std::string in_words(const std::vector<std::string>& channels) {
  return channels.empty() ? "no channel: it is recorded, not delivered anywhere"
                          : fmt::format("{}", fmt::join(channels, ", "));
}

void explain(Invocation& invocation, const Options& options) {
  const Explained explained = options.running ? by_broker(invocation, options) : by_config(invocation, options);
  if (invocation.json) {
    json::array channels, why;
    for (const std::string& channel : explained.route.channels) channels.emplace_back(channel);
    for (const std::string& line : explained.why) why.emplace_back(line);
    invocation.out << json::object{{"type", options.type}, {"channels", std::move(channels)}, {"why", std::move(why)}}
                   << "\n";
    return;
  }
  for (const std::string& line : explained.why) invocation.out << line << "\n";
  invocation.out << options.type << " goes to " << in_words(explained.route.channels) << "\n";
}

void test(Invocation& invocation, const Options& options) {
  const Explained explained = options.running ? by_broker(invocation, options) : by_config(invocation, options);
  if (explained.route.channels == options.to) {
    invocation.out << "ok: " << options.type << " goes to " << in_words(options.to) << "\n";
    return;
  }
  throw Failure(fmt::format("{} goes to {}, not to {} (see detent routes explain {})", options.type,
                            in_words(explained.route.channels), in_words(options.to), options.type));
}

void add_matchers(CLI::App& command, Invocation& invocation, Options& options) {
  command.add_option("TYPE", options.type, "The signal's type")->required();
  command.add_option("--severity", options.severity, "Default: info")->type_name("SEVERITY");
  command.add_option("--source", options.source)->type_name("NAME");
  command.add_option("--label", options.labels, "May be repeated")->type_name("NAME=VALUE")->allow_extra_args(false);
  command.add_flag("--needs-response", options.needs_response);
  command.add_flag("--running", options.running, "Ask the running broker in place of the config file");
  add_asking_options(command, invocation);
}

}  // namespace

void add_routes(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* routes = app.add_subcommand("routes", "Which channels a signal goes to, and why");
  routes->require_subcommand(1);
  auto* explaining = routes->add_subcommand("explain", "Say which routes match and why");
  add_matchers(*explaining, invocation, *options);
  explaining->footer("Example:\n  detent routes explain incident.detected --severity error --needs-response");
  explaining->callback([&invocation, options] { explain(invocation, *options); });
  auto* testing = routes->add_subcommand("test", "Exit 1 where a signal does not go to exactly these channels");
  add_matchers(*testing, invocation, *options);
  testing->add_option("--to", options->to, "The channels, in order; may be repeated")
      ->type_name("CHANNEL")
      ->required()
      ->allow_extra_args(false);
  testing->footer("Example:\n  detent routes test service.outage --needs-response --to telegram --to discord.alerts");
  testing->callback([&invocation, options] { test(invocation, *options); });
}

}  // namespace detent
