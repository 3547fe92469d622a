// Expected failures as values, and bugs as an abort with the place named.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace detent {

/// Why something expected to fail sometimes (disk, wire, API, config) did. `what` is one readable line: what, where,
/// what to do. `code` is the errno where the system gave one, the HTTP status where a service did, and 0 otherwise.
///
/// Written with braces, `Error{"what", code}`; not made from a string by parentheses, which would keep a
/// `Result<std::string>` from being returned as a plain string (it could be either).
struct Error {
  struct Text {
    template <class T>
    requires std::is_convertible_v<T, std::string> Text(T&& text) : text(std::forward<T>(text)) {}
    std::string text;
  };

  Error() = default;
  Error(std::initializer_list<Text> only) : what(only.begin()->text) {}
  Error(Text text, int number) : what(std::move(text.text)), code(number) {}

  std::string what;
  int code = 0;
};

/// Thrown by `Result::value()`, and by constructors that cannot do their work at start-up; caught once in `main`.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw Failure(error.what);
}

/// A value, or the Error that stands in its place.
template <class T = void>
using Result = boost::system::result<T, Error>;

/// An Error for a failed system call: "`what`: No space left on device".
Error system_error(std::string_view what, int number);

[[noreturn]] void check_failed(std::string_view condition, std::string_view text, const boost::source_location& where);

}  // namespace detent

/// Aborts with the place and the text where `condition` does not hold: a bug, never an expected failure.
#define CHECK(condition, text)                                                            \
  do {                                                                                    \
    if (!(condition)) ::detent::check_failed(#condition, (text), BOOST_CURRENT_LOCATION); \
  } while (false)
