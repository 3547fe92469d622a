// All that the consumers sent to the platforms during e2e and faults: it fits what the platforms' own documents say,
// and is complete. ctest runs this last.
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "tests/house/house.h"
#include "tests/support/paths.h"
#include "tests/support/request_check.h"

namespace detent::house {

namespace {

namespace fs = std::filesystem;

/// One file of all the records, beside their folder.
fs::path gathered() {
  const fs::path file = records_folder().parent_path() / "requests.jsonl";
  std::vector<fs::path> records;
  if (fs::exists(records_folder())) {
    for (const auto& entry : fs::directory_iterator(records_folder())) records.push_back(entry.path());
  }
  std::sort(records.begin(), records.end());
  const fs::path beside = file.string() + "." + std::to_string(getpid());  // two tests may gather at once
  std::ofstream out(beside, std::ios::binary);
  for (const fs::path& record : records) {
    std::string line;
    for (std::ifstream in(record); std::getline(in, line);) {
      if (line.ends_with("}")) out << line << "\n";  // the last may be cut off: its sandbox was killed
    }
  }
  out.close();
  fs::rename(beside, file);
  return file;
}

std::string text_of(const json::value& in, std::string_view key) {
  const auto* object = in.if_object();
  const auto* value = object ? object->if_contains(key) : nullptr;
  return value && value->is_string() ? std::string(value->as_string()) : "";
}

bool holds(const json::value& in, std::string_view key) {
  const auto* object = in.if_object();
  const auto* value = object ? object->if_contains(key) : nullptr;
  return value && !(value->is_array() && value->as_array().empty()) && !(value->is_bool() && !value->as_bool());
}

/// What kinds of request this one stands for.
std::set<std::string> kinds(const json::object& request) {
  const std::string service(request.at("service").as_string()), method(request.at("method").as_string());
  const std::string path(request.at("path").as_string());
  const json::value& body = request.at("body");
  const bool multipart = text_of(request.at("headers"), "Content-Type").starts_with("multipart/");
  std::set<std::string> out;
  if (service == "telegram") {
    const std::string name = path.substr(path.rfind('/') + 1);
    out.insert(name);
    if (text_of(body, "parse_mode") == "HTML") out.insert(name + " in HTML");
    if (holds(body, "disable_notification")) out.insert(name + " silent");
    if (text_of(body, "text").find("(repeat)") != std::string::npos) out.insert(name + " repeated");
    return out;
  }
  const std::string bare = path.substr(0, path.find('?'));
  if (service == "digitalocean") {
    const bool of_droplet = bare.starts_with("/v2/droplets/");
    if (method == "POST") return {of_droplet ? "droplet's action" : bare == "/v2/droplets" ? "droplet" : "key"};
    return {method == "DELETE" ? "droplet destroyed" : "account read"};
  }
  if (method == "GET" && bare.ends_with("/messages")) return {"history"};
  if (method == "GET") return {bare.starts_with("/webhooks") ? "webhook" : "channel"};
  if (bare.ends_with("/threads")) return {"thread begun"};
  const std::string what = bare.starts_with("/webhooks") ? "webhook message" : "message";
  out.insert(what);
  if (holds(body, "embeds")) out.insert(what + " with embed");
  if (!holds(body, "embeds") && holds(body, "content")) out.insert(what + " in plain text");
  if (multipart) out.insert(what + " with file");
  const auto* flags = body.is_object() ? body.as_object().if_contains("flags") : nullptr;
  if (flags && (flags->to_number<int64_t>() & 4096)) out.insert(what + " silent");
  if (bare.starts_with("/channels/") && bare.find("/channels/110000000000000000") == std::string::npos)
    out.insert("message in a thread");
  return out;
}

std::set<std::string> all_kinds(const fs::path& file, size_t& count) {
  std::set<std::string> out;
  std::string line;
  for (std::ifstream in(file); std::getline(in, line); ++count) out.merge(kinds(json::parse(line).as_object()));
  return out;
}

}  // namespace

TEST(Requests, CoverEveryKindOfMessage) {
  size_t count = 0;
  const std::set<std::string> found = all_kinds(gathered(), count);
  ASSERT_GT(count, 0u) << "no records in " << records_folder() << ": run e2e and faults first (ctest does)";
  for (const char* kind : {"channel", "history", "webhook", "message", "message with embed", "message in plain text",
                           "message with file", "message silent", "message in a thread", "thread begun",
                           "webhook message", "webhook message with embed", "webhook message with file", "sendMessage",
                           "sendMessage in HTML", "sendMessage silent", "sendMessage repeated", "sendDocument"}) {
    EXPECT_TRUE(found.contains(kind)) << "nothing was sent of the kind: " << kind;
  }
}

TEST(Requests, CoverAllThatProvisioningChanges) {
  if (geteuid() != 0) GTEST_SKIP() << "provisioning is tried as root, and this is not root";
  size_t count = 0;
  const std::set<std::string> found = all_kinds(gathered(), count);
  for (const char* kind : {"account read", "key", "droplet", "droplet's action", "droplet destroyed"}) {
    EXPECT_TRUE(found.contains(kind)) << "nothing was sent of the kind: " << kind;
  }
}

TEST(Requests, FitThePlatformsOwnDocuments) {
  size_t count = 0;
  EXPECT_THAT(requests::check_record(gathered(), count), ::testing::IsEmpty());
  EXPECT_GE(count, 100u);
}

}  // namespace detent::house
