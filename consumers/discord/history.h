// What a channel's history (GET /channels/{id}/messages) tells: whether one of our messages is there, and which threads
// our messages began. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace detent::discord {

/// The smallest snowflake of a time, as text.
std::string snowflake(int64_t wall_ms);

struct Page {
  size_t count = 0;
  std::string newest;             // id
  std::optional<std::string> id;  // of the message that carries the mark
};

/// Looks through one page for the message whose text or footer holds `mark`. Nothing where `body` is not a page.
std::optional<Page> look_for(std::string_view body, std::string_view mark);

/// A message that began a thread key, and whether its thread exists. The thread's id is the message's.
struct Root {
  std::string message;
  bool open = false;
};

/// The roots of thread marks: those used last. A key that was dropped begins anew, as one does whose root the history's
/// last page no longer shows after a restart.
class Roots {
 public:
  static constexpr size_t kMax = 1000;

  /// Counts as a use. Good until the next call of anything else.
  Root* find(const std::string& mark);
  /// Keeps the one that is there.
  void add(const std::string& mark, const Root& root);
  void erase(const std::string& mark) { known_.erase(mark); }
  size_t size() const { return known_.size(); }

 private:
  struct Known {
    Root root;
    uint64_t used = 0;
  };
  std::map<std::string, Known> known_;
  uint64_t uses_ = 0;
};

/// The oldest message of each thread mark on the page, those with a thread before those without.
std::map<std::string, Root> roots(std::string_view body);

}  // namespace detent::discord
