#include "dispatch/expect_admin.h"

#include <boost/json.hpp>

namespace detent {

namespace json = boost::json;

namespace {

void put(json::array& out, const std::vector<Liveness::View>& views, const char* kind) {
  for (const auto& view : views) {
    json::object one{
        {"name", view.name}, {"kind", kind}, {"every_ms", view.every.count()}, {"grace_ms", view.grace.count()}};
    if (view.last_heard > Millis{0}) one["last_heard_ms"] = view.last_heard.count();
    if (view.silent_since > Millis{0}) one["silent_since_ms"] = view.silent_since.count();
    out.push_back(std::move(one));
  }
}

json::object list(const Outages& outages) {
  json::array expected;
  put(expected, outages.workers(), "worker");
  put(expected, outages.sources(), "source");
  return {{"expected", std::move(expected)}, {"listening", outages.is_listening()}};
}

Result<json::object> forget(Outages& outages, const json::object& question, Now now) {
  const auto* name = question.if_contains("name");
  if (!name || !name->is_string()) return Error{"expect.forget wants a name"};
  if (const auto forgotten = outages.forget(std::string(name->get_string()), now); !forgotten) return forgotten.error();
  return json::object{};
}

}  // namespace

void add_expect_commands(TaskAdmin& admin, Outages& outages) {
  admin.add("expect.list", [&](const json::object&, Now) { return Result<json::object>(list(outages)); });
  admin.add("expect.forget", [&](const json::object& question, Now now) { return forget(outages, question, now); });
}

}  // namespace detent
