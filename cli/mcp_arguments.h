// The arguments of a tool's call, taken out one by one with the type that each must have.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ulid.h"

namespace detent {

/// Every function throws Usage, naming the argument, where it is there and not of its type. Null is as good as missing.
class McpArguments {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  /// `given` outlives it. Throws Usage where it has a member that is none of `known`.
  McpArguments(const boost::json::object& given, const std::vector<std::string_view>& known);

  /// Empty where it is missing.
  std::string text(std::string_view name) const;
  /// Throws Usage also where it is missing or empty.
  std::string required_text(std::string_view name) const;
  bool flag(std::string_view name) const;
  std::optional<int64_t> whole_number(std::string_view name) const;
  /// "90s", "2h".
  std::optional<Millis> duration(std::string_view name) const;
  /// All zeros where it is missing.
  Ulid id(std::string_view name) const;
  /// One id or a list of them.
  std::vector<Ulid> ids(std::string_view name) const;
  /// An object of names and texts; numbers and true or false are texts too.
  Pairs pairs(std::string_view name) const;

 private:
  const boost::json::value* find(std::string_view name) const;

  const boost::json::object& given_;
};

}  // namespace detent
