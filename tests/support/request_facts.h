// What a platform's API takes: a table drawn from its own documents (draw_facts), and what of a request does not fit
// it.
#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace detent::requests {

namespace json = boost::json;

/// Each is "PATH: what is wrong", a line; empty: all fits.
using Faults = std::vector<std::string>;

class Facts {
 public:
  /// Of tests/requests/facts/SERVICE.json. Throws Failure where it cannot be read.
  static Facts of(std::string_view service);
  explicit Facts(json::value table) : table_(std::move(table)) {}

  /// `path` without the API's base, perhaps with a query; `body` null where there was none. `as_form`: values may be
  /// the text of what is wanted, as a form has them ("true", "5", "{…}").
  Faults check(std::string_view method, std::string_view path, const json::value& body, bool as_form) const;

 private:
  struct Operation {
    const json::object* found = nullptr;
    std::string why;  // there is none such
  };
  Operation operation(std::string_view method, std::string_view path) const;
  const json::object& type(const json::object& type) const;
  void query(std::string_view text, const json::object& wanted, Faults& faults) const;
  void value(const json::value& value, const json::object& type, const std::string& at, bool as_form,
             Faults& faults) const;
  void object(const json::object& value, const json::object& type, const std::string& at, bool as_form,
              Faults& faults) const;
  void array(const json::array& value, const json::object& type, const std::string& at, bool as_form,
             Faults& faults) const;

  json::value table_;
};

}  // namespace detent::requests
