#include "tests/support/request_facts.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <regex>
#include <sstream>

#include "base/result.h"
#include "base/utf8.h"
#include "tests/support/paths.h"

namespace detent::requests {

namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  while (true) {
    const size_t end = text.find(at);
    out.push_back(text.substr(0, end));
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}

/// Whether `path` is one of `pattern`, where {name} stands for anything but a slash.
bool is_of(std::string_view path, std::string_view pattern) {
  const auto have = split(path, '/'), want = split(pattern, '/');
  return std::equal(have.begin(), have.end(), want.begin(), want.end(),
                    [](std::string_view one, std::string_view other) {
                      return other.starts_with('{') ? !one.empty() : one == other;
                    });
}

std::string_view kind_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "boolean";
    case json::kind::string:
      return "string";
    case json::kind::array:
      return "array";
    case json::kind::object:
      return "object";
    case json::kind::double_:
      return "number";
    default:
      return "integer";
  }
}

bool allows(const json::object& type, std::string_view kind) {
  const json::value* wanted = type.if_contains("type");
  if (!wanted) return true;
  const auto is = [&](const json::value& one) {
    return one.as_string() == kind || (kind == "integer" && one.as_string() == "number");
  };
  if (wanted->is_string()) return is(*wanted);
  return std::any_of(wanted->as_array().begin(), wanted->as_array().end(), is);
}

/// A text's length as it is shown: tags gone, each entity one character.
size_t parsed_length(std::string_view text) {
  size_t length = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '<') {
      at = std::min(text.find('>', at), text.size());
    } else if (text[at] == '&') {
      ++length;
      at = std::min(text.find(';', at), text.size());
    } else if (!continues_character(text[at])) {
      ++length;
    }
  }
  return length;
}

bool has_format(std::string_view text, std::string_view format) {
  static const std::regex snowflake("[0-9]{1,20}"), time(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))"),
      // A host needs a dot: Discord refuses the message otherwise (50035).
      uri(R"((https?://[^\s/]+\.[^\s/]+(/\S*)?|attachment://\S+))");
  const auto& wanted = format == "snowflake" ? snowflake : format == "uri" ? uri : time;
  return std::regex_match(text.begin(), text.end(), wanted);
}

void limits(size_t count, const json::object& type, std::string_view least, std::string_view most,
            const std::string& at, std::string_view unit, Faults& faults) {
  if (const auto* limit = type.if_contains(most); limit && count > limit->to_number<size_t>()) {
    faults.push_back(fmt::format("{}: {} {}, at most {} are allowed", at, count, unit, limit->to_number<size_t>()));
  }
  if (const auto* limit = type.if_contains(least); limit && count < limit->to_number<size_t>()) {
    faults.push_back(fmt::format("{}: {} {}, at least {} are needed", at, count, unit, limit->to_number<size_t>()));
  }
}

void check_text(std::string_view text, const json::object& type, const std::string& at, Faults& faults) {
  limits(code_points(text), type, "minLength", "maxLength", at, "characters", faults);
  limits(text.size(), type, "minBytes", "maxBytes", at, "bytes", faults);
  limits(parsed_length(text), type, "minParsedLength", "maxParsedLength", at, "characters as shown", faults);
  if (const auto* format = type.if_contains("format"); format && !has_format(text, format->as_string())) {
    faults.push_back(fmt::format("{}: \"{}\" is no {}", at, text, std::string_view(format->as_string())));
  }
  if (const auto* pattern = type.if_contains("pattern");
      pattern && !std::regex_search(text.begin(), text.end(), std::regex(pattern->as_string().c_str()))) {
    faults.push_back(fmt::format("{}: \"{}\" does not fit {}", at, text, pattern->as_string().c_str()));
  }
}

void check_number(double number, const json::object& type, const std::string& at, Faults& faults) {
  const auto* least = type.if_contains("minimum");
  const auto* most = type.if_contains("maximum");
  if ((least && number < least->to_number<double>()) || (most && number > most->to_number<double>())) {
    faults.push_back(fmt::format("{}: {} is out of range", at, number));
  }
}

/// What a form's text stands for, where `type` wants no text.
json::value from_form(const json::value& value) {
  boost::system::error_code failed;
  json::value parsed = json::parse(value.as_string(), failed);
  return failed ? value : parsed;
}

}  // namespace

Facts Facts::of(std::string_view service) {
  const auto file = test::source_folder() / fmt::format("tests/requests/facts/{}.json", service);
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  boost::system::error_code failed;
  json::value table = json::parse(text.str(), failed);
  if (!in || failed) throw Failure(fmt::format("{} cannot be read", file.string()));
  return Facts(std::move(table));
}

Facts::Operation Facts::operation(std::string_view method, std::string_view path) const {
  const std::string bare(path.substr(0, path.find('?')));
  const json::object* found = nullptr;
  size_t fewest = SIZE_MAX;  // of what is left open: a path by its own name goes before a pattern
  for (const auto& [name, operation] : table_.at("operations").as_object()) {
    const std::string_view text = name;
    const size_t space = text.find(' ');
    const auto open = static_cast<size_t>(std::count(text.begin(), text.end(), '{'));
    if (text.substr(0, space) != method || !is_of(bare, text.substr(space + 1)) || open >= fewest) continue;
    found = &operation.as_object();
    fewest = open;
  }
  return {found, found ? "" : fmt::format("no such operation: {} {}", method, bare)};
}

const json::object& Facts::type(const json::object& type) const {
  const auto* name = type.if_contains("$ref");
  return name ? this->type(table_.at("types").at(name->as_string()).as_object()) : type;
}

Faults Facts::check(std::string_view method, std::string_view path, const json::value& body, bool as_form) const {
  const Operation wanted = operation(method, path);
  if (!wanted.found) return {wanted.why};
  Faults faults;
  static const json::object none;
  const auto* parameters = wanted.found->if_contains("query");
  if (const size_t at = path.find('?'); at != path.npos) {
    query(path.substr(at + 1), parameters ? parameters->as_object() : none, faults);
  }
  const auto* type = wanted.found->if_contains("body");
  if (body.is_null()) {
    const auto& wants = type ? this->type(type->as_object()) : none;
    if (wanted.found->contains("bodyRequired") || wants.contains("required")) faults.push_back("body: missing");
  } else if (!type) {
    faults.push_back("body: there should be none");
  } else {
    value(body, type->as_object(), "body", as_form, faults);
  }
  return faults;
}

void Facts::query(std::string_view text, const json::object& wanted, Faults& faults) const {
  for (const std::string_view one : split(text, '&')) {
    const size_t equals = one.find('=');
    const std::string name(one.substr(0, equals));
    const auto* type = wanted.if_contains(name);
    if (!type) {
      faults.push_back(fmt::format("?{}: no such parameter", name));
    } else {
      value(json::value(equals == one.npos ? std::string_view() : one.substr(equals + 1)), type->as_object(),
            "?" + name, true, faults);
    }
  }
}

void Facts::value(const json::value& given, const json::object& reference, const std::string& at, bool as_form,
                  Faults& faults) const {
  const json::object& wanted = type(reference);
  if (const auto* choices = wanted.if_contains("anyOf")) {
    Faults nearest;
    bool is_of_its_kind = false;  // what is said of another kind helps nobody
    for (const auto& choice : choices->as_array()) {
      Faults of_this;
      value(given, choice.as_object(), at, as_form, of_this);
      if (of_this.empty()) return;
      const bool of_kind = allows(type(choice.as_object()), kind_of(given));
      if (is_of_its_kind > of_kind) continue;
      if (nearest.empty() || of_kind > is_of_its_kind || of_this.size() < nearest.size()) nearest = std::move(of_this);
      is_of_its_kind = of_kind;
    }
    faults.insert(faults.end(), nearest.begin(), nearest.end());
    return;
  }
  if (as_form && given.is_string() && !allows(wanted, "string")) {
    if (const json::value parsed = from_form(given); !parsed.is_string()) {
      return value(parsed, reference, at, false, faults);
    }
  }
  if (!allows(wanted, kind_of(given))) {
    faults.push_back(fmt::format("{}: is {}, should be {}", at, kind_of(given), json::serialize(wanted.at("type"))));
    return;
  }
  if (const auto* only = wanted.if_contains("const"); only && *only != given) {
    faults.push_back(fmt::format("{}: is {}, should be {}", at, json::serialize(given), json::serialize(*only)));
  }
  if (const auto* named = wanted.if_contains("enum");
      named && std::count(named->as_array().begin(), named->as_array().end(), given) == 0) {
    faults.push_back(fmt::format("{}: {} is none of {}", at, json::serialize(given), json::serialize(*named)));
  }
  if (given.is_string()) check_text(given.as_string(), wanted, at, faults);
  if (given.is_number()) check_number(given.to_number<double>(), wanted, at, faults);
  if (given.is_array()) array(given.as_array(), wanted, at, as_form, faults);
  if (given.is_object()) object(given.as_object(), wanted, at, as_form, faults);
}

void Facts::array(const json::array& given, const json::object& wanted, const std::string& at, bool as_form,
                  Faults& faults) const {
  limits(given.size(), wanted, "minItems", "maxItems", at, "items", faults);
  const auto* items = wanted.if_contains("items");
  for (size_t i = 0; items && i < given.size(); ++i) {
    value(given[i], items->as_object(), fmt::format("{}[{}]", at, i), as_form, faults);
  }
}

void Facts::object(const json::object& given, const json::object& wanted, const std::string& at, bool as_form,
                   Faults& faults) const {
  static const json::object none;
  const auto* properties = wanted.if_contains("properties");
  const json::object& known = properties ? properties->as_object() : none;
  const auto* others = wanted.if_contains("additionalProperties");
  for (const auto& [name, one] : given) {
    const std::string place = fmt::format("{}.{}", at, std::string_view(name));
    const auto* property = known.if_contains(name);
    if (!property) property = others;
    if (property) {
      value(one, property->as_object(), place, as_form, faults);
    } else if (properties) {
      faults.push_back(place + ": no such field");
    }
  }
  const auto* required = wanted.if_contains("required");
  if (!required) return;
  for (const auto& name : required->as_array()) {
    if (!given.contains(name.as_string()))
      faults.push_back(fmt::format("{}.{}: missing", at, name.as_string().c_str()));
  }
}

}  // namespace detent::requests
