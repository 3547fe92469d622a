// What a platform answered, or that it did not: what every channel reads alike.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

#include "consumers/channel.h"

namespace detent::consumers {

/// The object that `body` is, or an empty one.
boost::json::object object_of(std::string_view body);
/// A member that is a text, or nothing; valid as long as `object`.
std::string_view text_at(const boost::json::object& object, std::string_view key);

/// What it means that no answer came. `repeatable`: the request may be sent again whether it arrived or not. `remedy`:
/// what the operator is to do where the configured token or address makes no request at all.
Verdict unanswered(std::string_view platform, const http::SendFailure& failure, bool repeatable,
                   const std::string& remedy);

}  // namespace detent::consumers
