// What a platform answered, read as JSON.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

namespace detent::consumers {

/// The object that `body` is, or an empty one.
boost::json::object object_of(std::string_view body);
/// A member that is a text, or nothing.
std::string text_at(const boost::json::object& object, std::string_view key);

}  // namespace detent::consumers
