#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>

#include "cli/broker_client.h"
#include "cli/command.h"
#include "cli/text.h"

namespace detent {

namespace json = boost::json;

namespace {

struct Options {
  uint64_t delivery = 0;
  std::string channel;
  bool all = false;
};

json::object question(std::string_view command, const Options& options) {
  json::object question{{"command", command}};
  if (options.delivery) question["delivery"] = options.delivery;
  if (!options.channel.empty()) question["channel"] = options.channel;
  if (options.all) question["all"] = true;
  return question;
}

json::value ask(Invocation& invocation, std::string_view command, const Options& options) {
  BrokerClient client(invocation.endpoint(), invocation.deadline);
  return client.ask(question(command, options));
}

void list(Invocation& invocation, const Options& options) {
  const json::value answer = ask(invocation, "dead.list", options);
  if (invocation.json) {
    invocation.out << answer << "\n";
    return;
  }
  const json::array& letters = list_of(answer, "letters");
  if (letters.empty()) {
    invocation.out << "no dead letters" << (options.channel.empty() ? "" : " of " + options.channel) << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"DELIVERY", "CHANNEL", "SINCE", "TYPE", "TITLE", "CAUSE"}};
  for (const json::value& letter : letters) {
    rows.push_back({text_of(letter, "delivery"), text_of(letter, "channel"), text_of(letter, "at"),
                    plain(text_of(letter, "type")), plain(text_of(letter, "title")), plain(text_of(letter, "cause"))});
  }
  print_table(invocation.out, rows);
  const std::string total = text_of(answer, "total");
  if (total != std::to_string(letters.size())) invocation.out << letters.size() << " of " << total << " in all\n";
}

void show(Invocation& invocation, const Options& options) {
  const json::value letter = ask(invocation, "dead.show", options);
  if (invocation.json) {
    invocation.out << letter << "\n";
    return;
  }
  invocation.out << plain(text_of(letter, "type")) << ": " << plain(text_of(letter, "title")) << "\n";
  print_table(invocation.out, {{"id", text_of(letter, "id")},
                               {"delivery", text_of(letter, "delivery")},
                               {"channel", text_of(letter, "channel")},
                               {"since", text_of(letter, "at")},
                               {"attempts", text_of(letter, "attempts")},
                               {"cause", plain(text_of(letter, "cause"))}});
  for (const json::value& signal : list_of(letter, "signals")) {
    if (const std::string body = text_of(signal, "body"); !body.empty()) invocation.out << "\n" << body << "\n";
  }
}

void close(Invocation& invocation, const Options& options, bool retry, bool has_deadline) {
  const int ways = (options.delivery != 0) + options.all + (options.delivery == 0 && !options.channel.empty());
  if (ways != 1) throw Usage("say which: a DELIVERY, --channel CHANNEL, or --all");
  // Of very many letters it takes the broker longer than anybody would call an answer.
  const bool patient = options.delivery == 0 && !has_deadline;
  BrokerClient client(invocation.endpoint(), invocation.deadline);
  const json::value answer =
      client.order(question(retry ? "dead.retry" : "dead.drop", options), patient, "detent dead list");
  if (invocation.json) {
    invocation.out << answer << "\n";
    return;
  }
  const std::string done = text_of(answer, retry ? "retried" : "dropped"), of = text_of(answer, "of");
  invocation.out << (retry ? "brought back " : "dropped ") << done << (done == of ? "" : " of " + of) << "\n";
  if (done != of) invocation.exit = kFailed;
}

}  // namespace

void add_dead(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  auto* dead = app.add_subcommand("dead", "Deliveries that were given up: see them, bring them back, drop them");
  dead->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, bool number, bool required, bool all) {
    auto* command = dead->add_subcommand(name, what);
    if (number) {
      auto* option = command->add_option("DELIVERY", options->delivery, "As `detent dead list` shows it");
      if (required) option->required();
    }
    command->add_option("--channel", options->channel, "Only those of this channel")->type_name("CHANNEL");
    if (all) command->add_flag("--all", options->all, "All of them");
    add_asking_options(*command, invocation);
    return command;
  };
  add("list", "Delivery, channel, cause", false, false, false)->callback([&invocation, options] {
    list(invocation, *options);
  });
  add("show", "One of them, with its body", true, true, false)->callback([&invocation, options] {
    show(invocation, *options);
  });
  auto* retry = add("retry", "Deliver them after all", true, false, true);
  const std::string waits = "With --channel or --all it waits until all is done, where there is no --deadline.";
  retry->footer(waits + "\nExamples:\n  detent dead retry 4711\n  detent dead retry --channel discord.alerts");
  retry->callback([&invocation, options, retry] { close(invocation, *options, true, retry->count("--deadline")); });
  auto* drop = add("drop", "Forget them for good", true, false, true);
  drop->footer(waits);
  drop->callback([&invocation, options, drop] { close(invocation, *options, false, drop->count("--deadline")); });
}

}  // namespace detent
