#include "tests/http/raw.h"
#include "tests/sandbox/city.h"

namespace detent::sandbox {
namespace {

using Page = City;

TEST_F(Page, IsOneDocumentThatFetchesNothingElse) {
  Said said = ask("GET", "/");
  const std::string page(said.body.as_string());
  EXPECT_EQ(said.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  for (const char* outside : {"src=\"http", "href=\"http", "@import", "url(http", "/*page."}) {
    EXPECT_EQ(page.find(outside), page.npos) << outside;
  }
}

TEST_F(Page, IsToldOfChangesAsTheyHappen) {
  http::RawClient page(std::stoi(sandbox_.url().substr(sandbox_.url().rfind(':') + 1)));
  page.send("GET /control/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_NE(page.until("retry: 1000").find("text/event-stream"), std::string::npos);
  discord("POST", "/channels/11/messages", {{"content", "hello"}});
  const std::string seen = page.until("\"content\":\"hello\"");
  EXPECT_NE(seen.find("discord.channel"), std::string::npos);
  EXPECT_NE(seen.find("discord.message"), std::string::npos);
  telegram("sendMessage", {{"chat_id", 5}, {"text", "for the phone"}});
  EXPECT_NE(page.until("for the phone").find("telegram.message"), std::string::npos);
  control("reset");
  EXPECT_NE(page.until("\"reset\"").find("reset"), std::string::npos);
}

TEST_F(Page, IsTheOnlyOneThatMayPlayTheOperatorFromABrowser) {
  const std::string own = sandbox_.url().substr(7);
  const auto status = [&](const std::string& request, const std::string& headers) {
    http::RawClient client(std::stoi(own.substr(own.rfind(':') + 1)));
    client.send(request + " HTTP/1.1\r\n" + headers +
                "Connection: close\r\nContent-Length: 12\r\n\r\n{\"text\":\"x\"}");
    return client.rest().substr(9, 3);
  };
  for (const std::string& foreign :
       {"Host: " + own + "\r\nOrigin: https://evil.example\r\n", "Host: " + own + "\r\nOrigin: null\r\n",
        "Host: " + own + "\r\nSec-Fetch-Site: cross-site\r\n", std::string("Host: evil.example\r\n")}) {
    EXPECT_EQ(status("POST /control/telegram/send", foreign), "403") << foreign;
    EXPECT_EQ(status("POST /telegram/bot1:token/getMe", foreign), "403") << foreign;
    EXPECT_EQ(status("GET /control/messages?service=telegram", foreign), "403") << foreign;
  }
  EXPECT_TRUE(there("telegram").empty());
  EXPECT_EQ(status("POST /control/telegram/send",
                   "Host: " + own + "\r\nOrigin: http://" + own + "\r\nSec-Fetch-Site: same-origin\r\n"),
            "200");
  EXPECT_EQ(there("telegram").size(), 1u);
}

TEST_F(Page, BeginsWithWhatIsThere) {
  control("name", {{"channel", "11"}, {"name", "alerts"}});
  discord("POST", "/channels/11/messages", {{"content", "x"}});
  telegram("sendMessage", {{"chat_id", 5}, {"text", "y"}});
  Said state = ask("GET", "/control/state");
  EXPECT_EQ(state.object()["discord"].at("channels").at(0).at("name"), "alerts");
  EXPECT_EQ(state.object()["discord"].at("messages").as_array().size(), 1u);
  EXPECT_EQ(state.object()["telegram"].at("messages").as_array().size(), 1u);
  EXPECT_EQ(state.object()["telegram"].at("front"), 5);
}

}  // namespace
}  // namespace detent::sandbox
