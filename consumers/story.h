// What a signal has to say, before any platform draws it: one look per signal type. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "consumers/markdown.h"

namespace detent {
class Delivery;
}

namespace detent::consumers {

struct Fact {
  std::string name;
  std::string value;
  bool brief = false;   // may stand beside others
  int64_t when_ms = 0;  // a point in time in place of `value`
};

struct Story {
  /// How much room it takes: a card with a colour, one compact line, or plain words.
  enum class Look { Card, Line, Words };
  enum class Tone { Grey, Blue, Green, Yellow, Orange, Red };

  std::string id;  // the signal's ULID in text form
  std::string type;
  std::string source;
  std::string icon;
  std::string title;  // one line, never empty
  std::string url;    // http or https, or empty
  Look look = Look::Card;
  Tone tone = Tone::Grey;
  int severity = 0;
  bool needs_response = false;
  bool copy = false;  // the operator is asked in another channel
  std::string late;   // "6 h late", or empty
  bool repeat_unproven = false;
  std::string thread;
  int64_t created_ms = 0;  // 0: none that can be shown
  std::vector<Fact> facts;
  std::vector<Block> body;
  /// The whole body as a file, where there is a body.
  std::string file_name;
  std::string file;
  bool overlong = false;  // `body` is only its beginning: the file is to be sent

  /// The operator is asked here: it buzzes, whatever its severity and however quiet the channel is.
  bool asks() const { return needs_response && !copy; }
};

/// Reads a delivery's signal. What is not as its type asks is shown as far as it can be read; nothing fails. `wall_ms`:
/// to tell whether it is late. All text in it is harmless.
Story tell(const Delivery& delivery, int64_t wall_ms);

/// The facts, a line each (as a list's items where `listed`), the link and the body: where no card holds them.
std::vector<Block> with_facts(const Story& story, bool listed);

/// A body of more than this is sent as a file, with its beginning.
inline constexpr size_t kLongestShown = 16'000;  // units
/// A signal that would take more messages than this becomes one message with a file.
inline constexpr size_t kMaxParts = 5;
/// The most a file holds.
inline constexpr size_t kLargestFile = 9 * 1024 * 1024;

}  // namespace detent::consumers
