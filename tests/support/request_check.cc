#include "tests/support/request_check.h"

#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <map>
#include <regex>

#include "base/utf8.h"

namespace detent::requests {

namespace {

const json::value* member(const json::value& in, std::string_view key) {
  const auto* object = in.if_object();
  const auto* found = object ? object->if_contains(key) : nullptr;
  return found && !found->is_null() ? found : nullptr;
}

std::string text_of(const json::value& in, std::string_view key) {
  const auto* found = member(in, key);
  return found && found->is_string() ? std::string(found->as_string()) : "";
}

/// docs.discord.com/developers/resources/message: all the texts of a message's embeds together are at most 6000
/// characters, and a message needs one of several contents.
void check_message(const json::object& request, const json::value& body, Faults& faults) {
  const bool creates = request.at("method") == "POST";
  if (code_points(text_of(body, "content")) > 2000) faults.push_back("content: over 2000 characters");
  size_t total = 0;
  if (const auto* embeds = member(body, "embeds"); embeds && embeds->is_array()) {
    for (const auto& embed : embeds->as_array()) {
      total += code_points(text_of(embed, "title")) + code_points(text_of(embed, "description"));
      if (const auto* footer = member(embed, "footer")) total += code_points(text_of(*footer, "text"));
      if (const auto* author = member(embed, "author")) total += code_points(text_of(*author, "name"));
      const auto* fields = member(embed, "fields");
      for (const auto& field : fields && fields->is_array() ? fields->as_array() : json::array{}) {
        total += code_points(text_of(field, "name")) + code_points(text_of(field, "value"));
      }
    }
  }
  if (total > 6000) faults.push_back(fmt::format("embeds: {} characters together, over 6000", total));
  const auto* mentions = member(body, "allowed_mentions");
  const auto* parse = mentions ? member(*mentions, "parse") : nullptr;
  if (!parse || !parse->is_array() || !parse->as_array().empty()) {
    faults.push_back("allowed_mentions.parse is not []: a mention in the text would ping");
  }
  bool any = false;
  for (const char* content : {"content", "embeds", "components", "attachments", "poll", "sticker_ids"}) {
    const auto* found = member(body, content);
    any |=
        found && (found->is_string() ? !found->as_string().empty() : !found->is_array() || !found->as_array().empty());
  }
  if (creates && !any) faults.push_back("an empty message");
  if (creates && request.at("path").as_string().starts_with("/channels/")) {
    const auto* enforced = member(body, "enforce_nonce");
    if (text_of(body, "nonce").empty() || !enforced || *enforced != true) {
      faults.push_back("no nonce with enforce_nonce: true: a repeat would show twice");
    }
  }
}

void check_discord(const json::object& request, Faults& faults) {
  static const std::regex agent(R"(DiscordBot \(\S+, \S+\).*)"),
      message(R"(/channels/\d+/messages(/\d+)?|/webhooks/\d+/[^/]+(/messages/.*)?)");
  if (!std::regex_match(text_of(request.at("headers"), "User-Agent"), agent)) {
    faults.push_back("User-Agent is not of the form DiscordBot (url, version)");
  }
  const std::string path(request.at("path").as_string());
  const bool writes = request.at("method") == "POST" || request.at("method") == "PATCH";
  if (writes && std::regex_match(path.substr(0, path.find('?')), message)) {
    check_message(request, request.at("body"), faults);
  }
}

/// A request that was refused is a fault of the sender, unless it could not know better.
void check_answer(const json::object& request, Faults& faults) {
  const auto* status = request.if_contains("status");
  const auto code = status && status->is_number() ? status->to_number<int>() : 200;
  if (code >= 400 && code < 500 && code != 401 && code != 403 && code != 404 && code != 409 && code != 429) {
    faults.push_back(fmt::format("refused with {}", code));
  }
}

}  // namespace

Faults check(const json::object& request) {
  static std::map<std::string, Facts> all;
  const std::string service(request.at("service").as_string());
  const Facts& facts = all.try_emplace(service, Facts::of(service)).first->second;
  const std::string path(request.at("path").as_string());
  const json::value& body = request.at("body");
  Faults faults;
  if (service == "telegram") {  // takes GET and POST, JSON and forms, alike
    faults = facts.check("POST", "/" + path.substr(path.rfind('/') + 1), body, true);
  } else {
    faults = facts.check(request.at("method").as_string(), path, body, false);
  }
  if (service == "discord") check_discord(request, faults);
  check_answer(request, faults);
  return faults;
}

Faults check_record(const std::filesystem::path& record, size_t& count) {
  Faults faults;
  std::string line;
  count = 0;
  for (std::ifstream in(record); std::getline(in, line); ++count) {
    const json::object request = json::parse(line).as_object();
    for (const std::string& fault : check(request)) {
      faults.push_back(fmt::format("{} {}: {}\n  {}", request.at("method").as_string().c_str(),
                                   request.at("path").as_string().c_str(), fault, line.substr(0, 2000)));
    }
  }
  return faults;
}

}  // namespace detent::requests
