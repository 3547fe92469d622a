// DigitalOcean's words: what answers of its API look like, whole and in pages.
#pragma once

#include <string_view>

#include "http/server.h"
#include "sandbox/digitalocean_api.h"
#include "sandbox/faults.h"

namespace detent::sandbox {

http::Outgoing ocean_answer(json::object body, int status = 200);
http::Outgoing ocean_refusal(int status, std::string_view id, std::string_view message);
http::Outgoing ocean_unauthorized();
http::Outgoing ocean_missing();
http::Outgoing ocean_unprocessable(std::string_view what);
http::Outgoing ocean_too_many();
http::Outgoing ocean_nothing();
/// What an ordered fault of Kind::Status is answered with.
http::Outgoing ocean_fault(const Fault& fault, Now now);
/// The page of `all` that the call asks for, with links and total.
http::Outgoing ocean_page(const DigitalOceanCall& call, std::string_view name, json::array all);

}  // namespace detent::sandbox
