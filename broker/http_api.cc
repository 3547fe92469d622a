#include "broker/http_api.h"

#include <sodium.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <boost/json.hpp>

#include "broker/openclaw_hook.h"
#include "http/browser.h"
#include "http/server.h"
#include "proto/json.h"
#include "proto/wire.pb.h"

namespace detent {

namespace json = boost::json;

namespace {

http::Outgoing error_answer(int status, std::string_view text) {
  return {status, json::serialize(json::object{{"error", text}}) + "\n"};
}

bool has_token(const http::Incoming& request, const std::string& token) {
  const std::string wanted = "Bearer " + token;
  const auto given = request.header("authorization");
  return given.size() == wanted.size() && sodium_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

/// What became of the signals with these names.
http::Outgoing published(const std::vector<std::string>& names, const LocalDone& done) {
  json::array results;
  int status = 200;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto& rejection = done.rejections[i];
    if (!rejection.reason) {
      results.push_back({{"id", names[i]}, {"durability", Durability_Name(JOURNALED)}});
    } else {
      status = std::max(status, rejection.reason >= DISK_LOW ? 503 : 422);
      results.push_back(
          {{"id", names[i]}, {"error", Reason_Name(static_cast<Reason>(rejection.reason))}, {"text", rejection.text}});
    }
  }
  return {status, json::serialize(json::object{{"signals", std::move(results)}}) + "\n"};
}

/// Answers once they are durable or refused.
void admit(Broker& broker, Executor& executor, http::Reply reply, std::vector<std::string> signals) {
  executor.post([&broker, reply, signals = std::move(signals)](Now now) {
    std::vector<std::string> names;
    for (const auto& signal : signals)
      names.push_back(Ulid::from_bytes(read_header(signal).id).value_or(Ulid{}).text());
    broker.admit(signals, now, [reply, names](const LocalDone& done) { reply.send(published(names, done)); });
  });
}

}  // namespace

HttpApi::HttpApi(const BrokerConfig& config, Broker& broker, Executor& executor) {
  std::string token;
  if (config.http_token) {
    Secret secret = *config.http_token;
    if (auto read = secret.refresh(); !read) throw Failure(read.error().what);
    token = secret.reveal();
  }
  auto ids = std::make_shared<UlidSource>();  // the server's thread alone
  auto hooks_rejected = std::make_shared<std::atomic<uint64_t>>(0);
  http::ServerOptions options{config.http};
  options.max_body = kMaxFrame;
  const auto serve = [&broker, &executor, token, ids, hooks_rejected, name = config.http_name](http::Incoming request,
                                                                                               http::Reply reply) {
    if (const auto why = http::from_foreign_page(request, name)) {
      return reply.send(error_answer(403, *why + ": web pages may not speak to the broker; a name of its own is set as "
                                                 "http_name in [broker]"));
    }
    if (!token.empty() && request.path != "/healthz" && !has_token(request, token)) {
      return reply.send(error_answer(401, "give the token: Authorization: Bearer …"));
    }
    const bool get = request.method == "GET";
    if (request.path == "/healthz" && get) {
      return executor.post([&broker, reply](Now) {
        const std::string why = broker.unready();
        reply.send({why.empty() ? 200 : 503, (why.empty() ? "ok" : why) + "\n", "text/plain"});
      });
    }
    if (request.path == "/metrics" && get) {
      return executor.post([&broker, hooks_rejected, reply](Now now) {
        Vitals vitals = broker.vitals(now);
        vitals.hooks_rejected = *hooks_rejected;
        reply.send({200, metrics(vitals), "text/plain; version=0.0.4"});
      });
    }
    if (request.path == "/v1/status" && get) {
      return executor.post([&broker, reply](Now now) { reply.send({200, status_json(broker.vitals(now)) + "\n"}); });
    }
    if (request.path == "/v1/signals" && request.method == "POST") {
      auto signals = signals_from_json(request.body, *ids, system_now());
      if (!signals) return reply.send(error_answer(400, signals.error().what));
      if (signals->size() > kMaxSignals) return reply.send(error_answer(413, "too many signals in one request"));
      return admit(broker, executor, reply, std::move(*signals));
    }
    if (request.path == "/v1/hooks/openclaw" && request.method == "POST") {
      auto signal = signal_from_openclaw(request.body);
      if (signal) return admit(broker, executor, reply, {std::move(*signal)});
      ++*hooks_rejected;
      return reply.send(error_answer(400, signal.error().what));
    }
    const bool known = request.path == "/healthz" || request.path == "/metrics" || request.path == "/v1/status" ||
                       request.path == "/v1/signals" || request.path == "/v1/hooks/openclaw";
    reply.send(known ? error_answer(405, "wrong method")
                     : error_answer(404,
                                    "no such page: GET /healthz, /metrics, /v1/status; POST /v1/signals, "
                                    "/v1/hooks/openclaw"));
  };
  server_ = std::make_unique<http::Server>(options, serve);
}

HttpApi::~HttpApi() = default;

std::string HttpApi::url() const { return server_->url(); }

}  // namespace detent
