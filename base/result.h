// Expected failures as values, and bugs as an abort with the place named.
#pragma once

#include <boost/system/result.hpp>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace detent {

/// Why something expected to fail sometimes (disk, wire, API, config) did. `what` is one readable line: what, where,
/// what to do. `code` is the errno where the system gave one, the HTTP status where a service did, and 0 otherwise.
struct Error {
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

[[noreturn]] void check_failed(std::string_view condition, std::string_view text, const std::source_location& where);

}  // namespace detent

/// Aborts with the place and the text where `condition` does not hold: a bug, never an expected failure.
#define CHECK(condition, text)                                                                              \
  do {                                                                                                      \
    if (!(condition)) ::detent::check_failed(#condition, (text), std::source_location::current());          \
  } while (false)
