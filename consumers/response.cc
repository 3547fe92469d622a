#include "consumers/response.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace detent::consumers {

namespace json = boost::json;

json::object object_of(std::string_view body) {
  boost::system::error_code error;
  json::value value = json::parse(body, error);
  return !error && value.is_object() ? std::move(value.get_object()) : json::object();
}

std::string_view text_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

Verdict unanswered(std::string_view platform, const http::SendFailure& failure, bool repeatable,
                   const std::string& remedy) {
  const std::string& what = failure.error.what;
  if (failure.malformed) {
    return {.kind = Verdict::Misconfigured,
            .why = fmt::format("{}: no request can be formed ({}): {}", platform, what, remedy)};
  }
  return {.kind = failure.sent == http::Sent::No || repeatable ? Verdict::RetryLater : Verdict::Ambiguous,
          .why = fmt::format("{}: {}", platform, what)};
}

}  // namespace detent::consumers
