// A running sandbox and a client for it, as tests use them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "http/client.h"
#include "http/multipart.h"
#include "sandbox/json.h"
#include "sandbox/sandbox.h"

namespace detent::sandbox {

struct Said {
  int status = 0;
  json::value body;
  http::Headers headers;
  json::object& object() { return body.as_object(); }
  json::array& array() { return body.as_array(); }
  std::string header(std::string_view name) const {
    const std::string* value = http::find_header(headers, name);
    return value ? *value : "";
  }
};

class City : public testing::Test {
 protected:
  explicit City(SandboxOptions options = {.listen = "127.0.0.1:0"}) : sandbox_(std::move(options)) {}

  Said ask(const std::string& method, const std::string& path, std::string body = {},
           std::string type = "application/json", const std::string& token = "token") {
    http::Request request{.method = method, .url = sandbox_.url() + path, .body = std::move(body)};
    request.headers = {{"User-Agent", "DiscordBot (https://example.org, 1)"}};
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bot " + token);
    if (!request.body.empty()) request.headers.emplace_back("Content-Type", std::move(type));
    auto answer = client_.send(request);
    EXPECT_TRUE(answer) << answer.error().error.what;
    if (!answer) return {};
    Said said;
    said.status = answer->status;
    said.headers = answer->headers;
    if (!answer->body.empty() && answer->header("content-type") == "application/json") {
      said.body = json::parse(answer->body);
    } else {
      said.body = json::string(answer->body);
    }
    return said;
  }
  Said discord(const std::string& method, const std::string& path, const json::value& body = {},
               const std::string& token = "token") {
    return ask(method, "/discord/api/v10" + path, body.is_null() ? "" : json::serialize(body), "application/json",
               token);
  }
  Said telegram(const std::string& method, const json::object& fields = {}, const std::string& token = "1:token") {
    return ask("POST", "/telegram/bot" + token + "/" + method, json::serialize(fields), "application/json", "");
  }
  Said control(const std::string& path, const json::object& body = {}) {
    return ask("POST", "/control/" + path, json::serialize(body));
  }
  json::array there(const std::string& service, const std::string& channel = {}) {
    return ask("GET", "/control/messages?service=" + service + (channel.empty() ? "" : "&channel=" + channel)).array();
  }
  void fault(json::object order) { ASSERT_EQ(control("faults", order).status, 200); }

  Sandbox sandbox_;
  http::KeepAliveClient client_;
};

}  // namespace detent::sandbox
