// Deliveries made for tests: one of every type, hostile ones, and random Markdown from a seed.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "base/ulid.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

namespace detent::testing {

constexpr int64_t kWall = 1'795'000'000'000;

inline Signal signal(const std::string& type, const google::protobuf::Message& payload, int severity = 0) {
  static UlidSource ids(7);
  Signal out;
  out.set_id(std::string(ids.next(Millis(kWall)).view()));
  out.set_type(type);
  out.set_source("robo-server-1");
  out.set_severity(static_cast<Severity>(severity));
  out.set_created_ms(kWall);
  out.set_payload(payload.SerializeAsString());
  return out;
}

inline Signal note(const std::string& title, const std::string& body, const std::string& type = "note.any") {
  Note payload;
  payload.set_title(title);
  payload.set_body(body);
  return signal(type, payload);
}

inline Delivery delivery(const Signal& signal, uint64_t number = 1) {
  Delivery out;
  out.set_id(number);
  out.set_attempt(1);
  auto* one = out.add_signals();
  one->set_signal(signal.SerializeAsString());
  one->set_seq(number);
  one->set_journalled_ms(kWall);
  return out;
}

/// One signal of every type, with every field that a type has.
inline std::vector<Signal> one_of_each() {
  std::vector<Signal> out;
  Briefing briefing;
  briefing.set_title("Morning of 22 November");
  briefing.set_body(
      "# Today\n\n- **two** meetings\n- one _deadline_\n\n| what | when |\n|---|---|\n| stand-up | 9:00 |\n");
  briefing.set_period("2026-11-22");
  out.push_back(signal("briefing.morning", briefing));
  out.push_back(signal("review.weekly", briefing));
  Incident incident;
  incident.set_title("disk 95% on robo-server-1");
  incident.set_body("`/var` is nearly full:\n\n```\n/dev/sda1 95%\n```");
  incident.set_incident("INC-7");
  incident.set_host("robo-server-1");
  incident.set_began_ms(kWall - 600'000);
  incident.set_url("https://grafana.example/d/1?x=(y)");
  out.push_back(signal("incident.detected", incident, CRITICAL));
  incident.set_ended_ms(kWall);
  out.push_back(signal("incident.resolved", incident));
  Service service;
  service.set_title("postgres does not answer");
  service.set_service("postgres");
  service.set_check("tcp 127.0.0.1:5432: connection refused");
  service.set_down_since_ms(kWall - 60'000);
  out.push_back(signal("service.outage", service, ERROR));
  out.push_back(signal("service.restored", service));
  Threshold threshold;
  threshold.set_title("load is high");
  threshold.set_metric("load5");
  threshold.set_value(8.25);
  threshold.set_threshold(4);
  threshold.set_unit("");
  out.push_back(signal("threshold.crossed", threshold, WARNING));
  Subagent subagent;
  subagent.set_title("research done");
  subagent.set_body("Found **three** [papers](https://example.org/a).");
  subagent.set_agent("researcher");
  subagent.set_task("01TASK");
  subagent.set_took_ms(754'000);
  out.push_back(signal("subagent.completed", subagent));
  subagent.set_error("the model did not answer");
  out.push_back(signal("subagent.failed", subagent, ERROR));
  Heartbeat heartbeat;
  heartbeat.set_title("robo-server-1 ok");
  heartbeat.set_host("robo-server-1");
  heartbeat.set_load(0.42);
  heartbeat.set_disk_used(0.63);
  heartbeat.set_memory_used(0.41);
  heartbeat.set_uptime_s(300'000);
  out.push_back(signal("heartbeat.ok", heartbeat));
  HealthCheck health;
  health.set_title("nightly health");
  auto* probe = health.add_probes();
  probe->set_name("postgres");
  probe->set_ok(true);
  probe = health.add_probes();
  probe->set_name("backup");
  probe->set_detail("last one is 3 days old");
  out.push_back(signal("health.check", health));
  CronOutput cron;
  cron.set_title("backup failed");
  cron.set_job("backup");
  cron.set_command("/usr/local/bin/backup --all");
  cron.set_exit_code(2);
  cron.set_took_ms(3200);
  cron.set_output("copying…\nno space ``` left\n");
  cron.set_output_cut(true);
  out.push_back(signal("cron.output", cron));
  MemoryUpdate memory;
  memory.set_title("MEMORY.md: one fact more");
  memory.set_path("MEMORY.md");
  memory.set_commit("0123456789abcdef0123");
  memory.set_diff("@@ -1 +1,2 @@\n old\n+new *fact*\n-``` gone\n");
  memory.set_lines_added(1);
  memory.set_lines_removed(1);
  out.push_back(signal("memory.updated", memory));
  ChatMessage chat;
  chat.set_author("agent");
  chat.set_body("Hello *operator*, see https://example.org/a_b_c and <https://x.example>.");
  out.push_back(signal("chat.message", chat));
  Note free;
  free.set_title("anything");
  free.set_body("> quoted\n> more\n\n1. one\n2. two\n   - nested\n\n---\n\n~~gone~~");
  auto* field = free.add_fields();
  field->set_name("A_field");
  field->set_value("with *stars*");
  field->set_short_(true);
  out.push_back(signal("deploy.finished", free, NOTICE));
  return out;
}

/// Bodies that break careless programs.
inline std::vector<std::string> hostile_bodies() {
  std::vector<std::string> out = {
      "@everyone @here <@123456789012345678> <@&1> <#5> <t:1:R> </cmd:1> <:e:1>",
      std::string("nul \0 and \x01\x1b[31mred\x1b[0m\x07 bell", 30),
      "\xff\xfe broken \xc3( \xed\xa0\x80 \xf5\x80\x80\x80 utf-8 \xe2\x82",
      "right\u202Eto-left \u2066isolate\u2069 \u200Fmark\u061C &#x202E;entity &#0; &#x1b;",
      "```never closed\nline\n````\n```` nested",
      "```" + std::string(9000, '`'),
      "**never *closed __bold ~~strike `code [link](http://x.example",
      "[https://bank.example](https://evil.example) [click](javascript:alert(1)) ![i](data:text/html,x)",
      "<script>alert(1)</script> <b>bold <i>no end & &amp; &lt; <a href='x'>",
      std::string(20000, '*'),
      std::string(3000, '>') + " deep",
      std::string(4000, '['),
      std::string(5000, '\\'),
      std::string(12000, '<'),
      std::string(6000, '&'),
      std::string(4500, '\n') + "x" + std::string(4500, ' '),
      "",
      " ",
      "\n",
      "\u200b",
      "# ",
      "- ",
      "|a|\n|-|\n",
      "-# small\n# big\n1. x\n",
  };
  std::string emoji;
  for (int i = 0; i < 3000; ++i) emoji += "👩‍👩‍👧‍👦";
  out.push_back(emoji);
  std::string words;
  while (words.size() < 30000) words += "[word](https://example.org/" + std::string(400, 'u') + ") ";
  out.push_back(words);
  std::string styled;
  while (styled.size() < 14000) styled += "*a***b**`c`~~d~~";
  out.push_back(styled);
  out.push_back(std::string(15'000, 'x'));
  std::string quoted;
  while (quoted.size() < 14000) quoted += "> \n> a\n";
  out.push_back(quoted);
  return out;
}

/// Markdown of random constructs, cut and nested at random; up to about `size` bytes.
inline std::string random_markdown(std::mt19937_64& random, size_t size) {
  static const std::vector<std::string> kPieces = {"word ",
                                                   "longer-words-and_under_scores ",
                                                   "\n",
                                                   "\n\n",
                                                   "# heading\n",
                                                   "### small\n",
                                                   "- item\n",
                                                   "  - nested\n",
                                                   "1. one\n",
                                                   "- [x] done\n",
                                                   "> quote\n",
                                                   "```\n",
                                                   "```cpp\n",
                                                   "int main() { return 0; }\n",
                                                   "`code` ",
                                                   "``two ` ticks`` ",
                                                   "**bold** ",
                                                   "*em* ",
                                                   "~~gone~~ ",
                                                   "**",
                                                   "*",
                                                   "_",
                                                   "`",
                                                   "~~",
                                                   "[text](https://example.org/x?a=b&c=(d)) ",
                                                   "[",
                                                   "](",
                                                   ")",
                                                   "| a | b |\n|---|---|\n| 1 | 2 |\n",
                                                   "---\n",
                                                   "<b>html</b> ",
                                                   "&amp; &lt; ",
                                                   "@everyone ",
                                                   "<@1> ",
                                                   "ünïcödé ",
                                                   "日本語テキスト",
                                                   "👍🏽 ",
                                                   "e\u0301",
                                                   "\u202e",
                                                   std::string(1, '\0'),
                                                   "\xff",
                                                   "https://example.org/a_b ",
                                                   "||spoiler|| ",
                                                   "    indented\n",
                                                   "\t",
                                                   "\\",
                                                   std::string(300, 'y'),
                                                   "a. b. c! d+ e= {f} "};
  std::string out;
  const size_t target = std::uniform_int_distribution<size_t>(0, size)(random);
  while (out.size() < target) out += kPieces[random() % kPieces.size()];
  return out;
}

}  // namespace detent::testing
