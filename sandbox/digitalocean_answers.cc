#include "sandbox/digitalocean_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "http/url.h"

namespace detent::sandbox {

namespace {
constexpr std::int64_t kPageSize = 20, kMaxPageSize = 200;

/// "/v2/droplets?tag_name=x" with another page.
std::string page_link(const DigitalOceanCall& call, std::int64_t page) {
  std::string out = call.base + call.path + "?page=" + std::to_string(page);
  for (const auto& [name, value] : call.query) {
    if (name != "page") out += "&" + http::percent_encode(name) + "=" + http::percent_encode(value);
  }
  return out;
}
}  // namespace

http::Outgoing ocean_answer(json::object body, int status) {
  return {.status = status, .body = json::serialize(body), .content_type = "application/json; charset=utf-8"};
}
http::Outgoing ocean_refusal(int status, std::string_view id, std::string_view message) {
  return ocean_answer({{"id", id}, {"message", message}}, status);
}
http::Outgoing ocean_unauthorized() { return ocean_refusal(401, "unauthorized", "Unable to authenticate you."); }
http::Outgoing ocean_missing() {
  return ocean_refusal(404, "not_found", "The resource you were accessing could not be found.");
}
http::Outgoing ocean_unprocessable(std::string_view what) { return ocean_refusal(422, "unprocessable_entity", what); }
http::Outgoing ocean_too_many() { return ocean_refusal(429, "too_many_requests", "API rate limit exceeded."); }
http::Outgoing ocean_nothing() { return {.status = 204, .content_type = "application/json; charset=utf-8"}; }

http::Outgoing ocean_fault(const Fault& fault, Now now) {
  switch (fault.status) {
    case 401:
      return ocean_unauthorized();
    case 403:
      return ocean_refusal(403, "forbidden", "You are not authorized to perform this operation");
    case 404:
      return ocean_missing();
    case 429: {
      http::Outgoing out = ocean_too_many();
      out.headers = {{"retry-after", std::to_string(std::llround(std::ceil(fault.retry_after)))},
                     {"ratelimit-limit", "5000"},
                     {"ratelimit-remaining", "0"},
                     {"ratelimit-reset", std::to_string(now.wall.count() / 1000 + std::llround(fault.retry_after))}};
      return out;
    }
    case 500:
      return ocean_refusal(500, "server_error", "Unexpected server-side error");
    default:  // comes from the proxy before the service
      return {.status = fault.status,
              .body = fmt::format("<html><body><h1>{}</h1></body></html>\n", fault.status),
              .content_type = "text/html"};
  }
}

http::Outgoing ocean_page(const DigitalOceanCall& call, std::string_view name, json::array all) {
  const auto asked = [&](std::string_view key, std::int64_t otherwise) {
    const std::string* text = call.parameter(key);
    return text ? parse_whole(*text) : std::optional(otherwise);
  };
  const auto page = asked("page", 1), size = asked("per_page", kPageSize);
  if (!page || *page < 1) return ocean_unprocessable("page must be a whole number from 1.");
  if (!size || *size < 1 || *size > kMaxPageSize) return ocean_unprocessable("per_page must be between 1 and 200.");
  const auto total = static_cast<std::int64_t>(all.size());
  const std::int64_t last = std::max<std::int64_t>(1, (total + *size - 1) / *size);
  json::array items;
  for (std::int64_t at = (*page - 1) * *size; at < std::min(total, *page * *size); ++at)
    items.push_back(std::move(all[static_cast<std::size_t>(at)]));
  json::object links, pages;
  if (*page > 1) {
    pages["first"] = page_link(call, 1);
    pages["prev"] = page_link(call, *page - 1);
  }
  if (*page < last) {
    pages["next"] = page_link(call, *page + 1);
    pages["last"] = page_link(call, last);
  }
  if (!pages.empty()) links["pages"] = std::move(pages);
  return ocean_answer({{name, std::move(items)}, {"links", std::move(links)}, {"meta", {{"total", total}}}});
}

}  // namespace detent::sandbox
