// What an attempt prints: counted and hashed as a whole, its end kept, its lines passed on at a pace that no link
// minds. Memory is bounded whatever comes. One thread.
#pragma once

#include <sodium/crypto_hash_sha256.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/child.h"
#include "base/clock.h"

namespace detent {

class Output {
 public:
  /// A line without its end, UTF-8 whatever was printed, at most 4 KiB.
  using Line = std::function<void(Child::Stream, std::string_view)>;

  struct Stream {
    uint64_t bytes = 0;
    std::string sha256;  // of all of them, in hex
    std::string tail;    // as it was printed
  };

  /// Keeps `keep_out` of the end of standard output, and `keep_all` of both streams as they came.
  Output(std::size_t keep_out, std::size_t keep_all, Line line);

  void add(Child::Stream stream, std::string_view piece, Millis mono);
  /// Nothing more comes: the lines that were begun are passed on.
  void end();

  Stream out() const { return result_of(out_); }
  Stream err() const { return result_of(err_); }
  /// The end of both streams as they came, UTF-8.
  std::string tail() const;

 private:
  struct Source {
    std::size_t keep = 0;
    uint64_t bytes = 0;
    crypto_hash_sha256_state hash{};
    std::string kept;
    std::string line;  // begun
    bool cut = false;  // the rest of its line is dropped
  };

  static Stream result_of(const Source& source);
  void split(Child::Stream stream, Source& source, std::string_view piece);
  void pass_on(Child::Stream stream, Source& source);
  void tell_dropped();

  Source out_, err_;
  std::size_t keep_all_;
  std::string all_;
  Line line_;
  Millis second_{0};
  std::size_t passed_ = 0;  // bytes in that second
  uint64_t dropped_ = 0;    // lines
};

}  // namespace detent
