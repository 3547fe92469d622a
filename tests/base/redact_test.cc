#include "base/redact.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>

namespace detent {

namespace {

std::string redacted(std::string text, const Patterns& patterns = {}) {
  const size_t size = text.size();
  const std::string before = text;
  const bool any = redact(text, patterns);
  EXPECT_EQ(text.size(), size);
  EXPECT_EQ(any, text != before);
  std::string again = text;
  EXPECT_FALSE(redact(again, patterns)) << "a masked text was masked again: " << text << " -> " << again;
  return text;
}

std::string masked(const std::string& secret) {
  return secret.size() < 10 ? std::string(secret.size(), '*') : "[redacted]" + std::string(secret.size() - 10, '*');
}

// Built of pieces, so that no scanner takes this file's samples for leaked tokens.
std::string repeat(const std::string& alphabet, size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) out += alphabet[(i * 7 + i / 5) % alphabet.size()];
  return out;
}
const std::string kMixed = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0z";
const std::string kUpper = "A2B4C6D7EFGHIJKLMNOPQRSTUVWXYZ";
const std::string kHex = "0123456789abcdef";

struct Shape {
  std::string name, secret;
};
std::vector<Shape> shapes() {
  return {
      {"Telegram", "7123456789:AA" + repeat(kMixed, 33)},
      {"DiscordBot", "MT" + repeat(kMixed, 24) + ".G" + repeat(kMixed, 5) + "." + repeat(kMixed, 38)},
      {"GitHubClassic", "ghp_" + repeat(kMixed, 36)},
      {"GitHubOauth", "gho_" + repeat(kMixed, 36)},
      {"GitHubServer", "ghs_" + repeat(kMixed, 36)},
      {"GitHubUser", "ghu_" + repeat(kMixed, 36)},
      {"GitHubRefresh", "ghr_" + repeat(kMixed, 36)},
      {"GitHubFineGrained", "github_pat_" + repeat(kMixed, 22) + "_" + repeat(kMixed, 59)},
      {"GitLab", "glpat-" + repeat(kMixed, 20)},
      {"Anthropic", "sk-ant-api03-" + repeat(kMixed, 90) + "-AA"},
      {"OpenAI", "sk-proj-" + repeat(kMixed, 48)},
      {"OpenAIOld", "sk-" + repeat(kMixed, 48)},
      {"AwsKeyId", "AKIA" + repeat(kUpper, 16)},
      {"AwsTemporaryKeyId", "ASIA" + repeat(kUpper, 16)},
      {"SlackBot", "xoxb-123456789012-123456789012-" + repeat(kMixed, 24)},
      {"SlackUser", "xoxp-123456789012-" + repeat(kMixed, 32)},
      {"Stripe", "sk_live_" + repeat(kMixed, 24)},
      {"StripeRestricted", "rk_live_" + repeat(kMixed, 24)},
      {"Google", "AIza" + repeat(kMixed, 35)},
      {"DigitalOcean", "dop_v1_" + repeat(kHex, 64)},
      {"DigitalOceanOauth", "doo_v1_" + repeat(kHex, 64)},
      {"Npm", "npm_" + repeat(kMixed, 36)},
      {"HuggingFace", "hf_" + repeat(kMixed, 34)},
      {"SendGrid", "SG." + repeat(kMixed, 22) + "." + repeat(kMixed, 43)},
      {"Jwt", "eyJ" + repeat(kMixed, 33) + ".eyJ" + repeat(kMixed, 60) + "." + repeat(kMixed, 43)},
  };
}

std::string pem() {
  std::string key = "-----BEGIN RSA " + std::string("PRIVATE KEY-----\n");
  for (int i = 0; i < 12; ++i) key += repeat(kMixed, 40) + "+/" + repeat(kMixed, 22) + "\n";
  return key + "-----END RSA " + "PRIVATE KEY-----";
}

void expect_value_masked(const std::string& before, const std::string& value, const std::string& after) {
  EXPECT_EQ(redacted(before + value + after), before + masked(value) + after);
}

void expect_untouched(const std::string& text) { EXPECT_EQ(redacted(text), text); }

}  // namespace

class KnownShape : public testing::TestWithParam<Shape> {};

TEST_P(KnownShape, IsMaskedWhereverItStands) {
  const std::string& secret = GetParam().secret;
  for (const auto& [before, after] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"", " and then"},
           {"see ", ""},
           {"the run said `", "` and went on"},
           {"- **", "**\n- next"},
           {R"({"value": ")", R"(", "n": 1})"},
           {R"({\"value\": \")", R"(\"})"},
           {"größer als ", " – schön"},
           {"日本", "日本"},
           {"https://example.org/?key=", "&x=1"},
           {"line\n", "\nline"},
           {"(", ")."},
       }) {
    EXPECT_EQ(redacted(before + secret + after), before + masked(secret) + after) << before;
  }
}

TEST_P(KnownShape, IsMaskedAtEveryOffset) {
  const std::string& secret = GetParam().secret;
  for (size_t offset = 0; offset < 40; ++offset) {
    std::string before;
    while (before.size() < offset) before += "ab ";
    before.resize(offset, ' ');
    if (!before.empty()) before.back() = ' ';
    EXPECT_EQ(redacted(before + secret), before + masked(secret)) << offset;
  }
}

TEST_P(KnownShape, IsMaskedTwiceInOneText) {
  const std::string& secret = GetParam().secret;
  EXPECT_EQ(redacted(secret + " or " + secret), masked(secret) + " or " + masked(secret));
}

INSTANTIATE_TEST_SUITE_P(Redact, KnownShape, testing::ValuesIn(shapes()),
                         [](const auto& info) { return info.param.name; });

TEST(Redact, MasksAPrivateKeyAsAWhole) {
  EXPECT_EQ(redacted("key:\n" + pem() + "\nend"), "key:\n" + masked(pem()) + "\nend");
  const std::string cut = pem().substr(0, 300);
  EXPECT_EQ(redacted(cut), masked(cut));
}

TEST(Redact, LeavesAPublicKeyAlone) {
  expect_untouched("-----BEGIN PUBLIC KEY-----\n" + repeat(kMixed, 64) + "\n-----END PUBLIC KEY-----");
}

TEST(Redact, MasksTheTokenOfAWebhookUrlOnly) {
  expect_value_masked("https://discord.com/api/webhooks/1100000000000000001/", repeat(kMixed, 68), "?wait=true");
  expect_value_masked("https://hooks.slack.com/services/T00000000/B00000000/", repeat(kMixed, 24), " x");
}

TEST(Redact, MasksABotTokenInsideAnApiUrl) {
  const std::string token = "7123456789:AA" + repeat(kMixed, 33);
  EXPECT_EQ(redacted("GET https://api.telegram.org/bot" + token + "/getMe"),
            "GET https://api.telegram.org/bot" + masked(token) + "/getMe");
}

TEST(Redact, MasksAuthorizationHeaders) {
  expect_value_masked("Authorization: Bearer ", "abcd.efgh~ijkl", "\nAccept: */*");
  expect_value_masked("authorization: Basic ", "dXNlcjpwYXNz", "");
  expect_value_masked("curl -H 'Authorization: Bearer ", "abc123def456", "' https://example.org");
  expect_value_masked("{\"Authorization\": \"Bot ", "abc123def456", "\"}");
  expect_value_masked("header bearer ", "abcdefghij0123456789/xyz", " sent");
}

TEST(Redact, MasksTheValuesOfSecretKeys) {
  expect_value_masked("password=", "hunter2", "");
  expect_value_masked("Password: ", "hunter2", "\n");
  expect_value_masked("**Password:** ", "hunter2", " was set");
  expect_value_masked("DB_PASSWORD='", "pa ss w", "'");
  expect_value_masked("{\"password\": \"", "correct horse", "\", \"user\": \"x\"}");
  expect_value_masked("{\\\"password\\\":\\\"", "hunter2", "\\\"}");
  expect_value_masked("api_key = ", "abcd1234efgh", "");
  expect_value_masked("?api_key=", "abcd1234", "&page=2");
  expect_value_masked("client_secret: ", "9f8e7d6c5b4a", "");
  expect_value_masked("export GITLAB_TOKEN=", "abcdefgh", "; make");
  expect_value_masked("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "\n");
  expect_value_masked("'secret' => '", "abcdef", "',");
  expect_value_masked("pwd=", "schön-geheim", " ");
}

TEST(Redact, MasksPasswordsInUrls) {
  expect_value_masked("postgres://admin:", "s3cr3t", "@db.example.org:5432/app");
  expect_value_masked("git clone https://x-access-token:", "abcdef", "@github.com/a/b.git");
}

TEST(Redact, LeavesWhatIsNoSecret) {
  for (const char* text : {
           "commit 9654045d3f2c1b0a9e8d7c6b5a49382716f5e4d3 landed",
           "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
           "id 01JDABCDEFGHJKMNPQRSTVWXYZ and 01ARZ3NDEKTSV4RRFFQ69G5FAV",
           "550e8400-e29b-41d4-a716-446655440000",
           "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk internationalization",
           "/usr/lib/x86_64-linux-gnu/libboost_unit_test_framework.so.1.81.0",
           "https://example.org/a/very/long-path-with-many-words-in-it?page=2&sort=asc#top",
           "https://example.org:8080/x@y and http://localhost:7480",
           "2026-11-22T14:02:07Z 12:30:45 up 3 days",
           "the token: see the manual; secret: work hard; password: please choose another",
           "token_file = \"/etc/detent/discord.token\"",
           "password = ${DB_PASSWORD}, token: $TOKEN, api_key = <your key>",
           "if token == other: pass",
           "unexpected token: ')' at line 3",
           "tokens: 15000, max_token=4096",
           "sk-learn-pipeline-component-registry-name",
           "task-sk-ant-is-not-a-token-here-at-all",
           "===============================================",
           "-----------------------------------------------",
           "________________________________________________",
           "1234567890123456789012345678901234567890",
           "AKIALONGERTHANANYREALKEYIDWOULDEVERBE",
           "monkey: 12345678abc, keyboard=12345678abc",
           "std::token::value and password::Hash",
           "secret/path: /run/secrets/db-password-v2",
           "password=true token=null",
       }) {
    expect_untouched(text);
  }
  expect_untouched("![logo](data:image/png;base64," + repeat(kMixed + "+/", 4000) + "==)");
}

TEST(Redact, MasksWhatConfiguredPatternsMatch) {
  const Result<Patterns> patterns = Patterns::compile({"corp-[0-9]{6}", "geheim.*"});
  ASSERT_TRUE(patterns.has_value());
  EXPECT_EQ(redacted("id corp-123456 and corp-12", *patterns), "id [redacted]* and corp-12");
  EXPECT_EQ(redacted("ist geheim: 日本\nnext", *patterns), "ist [redacted]****\nnext");
}

TEST(Redact, KeepsUtf8WholeWhenAPatternCutsIt) {
  const Result<Patterns> patterns = Patterns::compile({"\xa4x"});
  ASSERT_TRUE(patterns.has_value());
  EXPECT_EQ(redacted("äx", *patterns), "***");
}

TEST(Redact, MasksTheLineOnWhichAPatternGivesUp) {
  const Result<Patterns> patterns = Patterns::compile({"(a+)+(b+)+(a|b|ab)*c"});
  ASSERT_TRUE(patterns.has_value());
  const std::string line(200'000, 'a');
  std::string text = "before\n" + line + "\nafter";
  redact(text, *patterns);
  EXPECT_EQ(text.substr(0, 7), "before\n");
  EXPECT_EQ(text.substr(text.size() - 6), "\nafter");
  EXPECT_EQ(text.size(), line.size() + 13);
}

/// Of this thread: a busy machine does not count.
double cpu_seconds() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

/// One piece again and again. A work that grows with the square of the text takes minutes on four MiB of it.
class LongText : public testing::TestWithParam<const char*> {};

TEST_P(LongText, IsMaskedInOnePass) {
  std::string text;
  while (text.size() < 4 << 20) text += GetParam();
  const double before = cpu_seconds();
  redact(text, {});
  EXPECT_LT(cpu_seconds() - before, 20);
}

INSTANTIATE_TEST_SUITE_P(Redact, LongText,
                         testing::Values("authorization: x ", "authorization:x", "authorization:$",
                                         "authorization:[redacted]", "sk-", "ghp_abcdefghijklmnopqrstuvwxyz0123456789-",
                                         "token=$", "token:", "token='(", "token='(secret=\"(", "password:a",
                                         "token=a(", "token=/", "token = ", "a=", "://", "://a:b@", "x://$:", "://@",
                                         "/aaaaaaaaaaaaaaaaaaaaaaaa", "bearer aaaaaaaaaaaaaaaaaaaaaaaa",
                                         "aaaaaaaaaaaaaaaaaaaaaaaa.", "1111111:", "-----BEGIN PRIVATE KEY",
                                         "-----BEGIN aaaaaaaaaaaaaaaaaaaaaaaa ", "AKIA-", "github_pat_", "glpat-", "=*",
                                         "token****="),
                         [](const auto& info) { return "Piece" + std::to_string(info.index); });

TEST(Redact, MasksALongValueToItsEnd) {
  expect_value_masked("password=", repeat(kMixed, 3000), " and then");
  expect_value_masked("Authorization: Bearer ", repeat(kMixed + ".", 3000), "\nnext");
  expect_value_masked("Authorization: ", repeat(kMixed + ".", 3000), " next");
  expect_value_masked("{\"token\": \"", repeat(kMixed + "/ ", 3000), "\"}");
}

TEST(Redact, BoundsTheWorkOfAPatternOnAText) {
  // Each "y" makes it read on to the line's end, and each "x" after it is a match that begins the search anew.
  const Result<Patterns> patterns = Patterns::compile({"y[^z]*z|x"});
  ASSERT_TRUE(patterns.has_value());
  std::string text = "before x\n";
  while (text.size() < 4 << 20) text += "yx";
  const double before = cpu_seconds();
  redact(text, *patterns);
  EXPECT_LT(cpu_seconds() - before, 60);
  EXPECT_EQ(text.substr(0, 9), "before *\n");
  EXPECT_EQ(text.find("yx"), std::string::npos);
}

TEST(Redact, MasksTheRestOfATextOnWhichAPatternGivesUpAgainAndAgain) {
  const Result<Patterns> patterns = Patterns::compile({"y[^z]*z"});
  ASSERT_TRUE(patterns.has_value());
  std::string text;
  while (text.size() < 4 << 20) text += std::string(50'000, 'y') + "\n";
  const double before = cpu_seconds();
  redact(text, *patterns);
  EXPECT_LT(cpu_seconds() - before, 60);
  EXPECT_EQ(text.find('y'), std::string::npos);
}

TEST(Redact, SearchesALongTextOfOrdinaryLinesWithAPattern) {
  const Result<Patterns> patterns = Patterns::compile({"[A-Za-z0-9._-]+@corp[.]example"});
  ASSERT_TRUE(patterns.has_value());
  std::string text;
  while (text.size() < 4 << 20) text += repeat(kMixed, 75) + "\n";
  const std::string before = text;
  text += "ann@corp.example\n";
  redact(text, *patterns);
  EXPECT_EQ(text, before + "[redacted]******\n");
}

TEST(Redact, TakesAnyBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 200, 0);
    constexpr std::string_view bits[] = {"password",
                                         "token",
                                         ":",
                                         "=",
                                         "://",
                                         "@",
                                         "\"",
                                         "\\",
                                         "-----BEGIN ",
                                         "PRIVATE KEY",
                                         "eyJ",
                                         ".",
                                         "sk-",
                                         "ghp_",
                                         "\xff",
                                         "\xe2\x82\xac",
                                         " ",
                                         "Authorization",
                                         "Bearer",
                                         "*",
                                         "abcdefghij0123456789"};
    std::string built;
    while (built.size() < text.size())
      built += random() % 3 ? std::string(bits[random() % std::size(bits)]) : std::string(1, char(random()));
    const size_t size = built.size();
    redact(built, {});
    EXPECT_EQ(built.size(), size);
  }
}

TEST(Redact, TakesTheEmptyText) { EXPECT_FALSE(redact({}, {})); }

}  // namespace detent
