// A peer that owes nothing to our own code of the bus: ZMTP 3.0 by hand over a plain socket, so that it can send
// whatever it likes. One message is one frame of bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "proto/frame.h"

namespace detent::house {

class Stranger {
 public:
  /// Connects as a DEALER to "tcp://127.0.0.1:PORT". Throws Failure where that fails.
  explicit Stranger(const std::string& endpoint);
  ~Stranger();
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  /// False where the connection is gone.
  bool send(std::string_view message);
  /// The next message; nothing within `patience`, or the connection is gone: see `closed`.
  std::optional<std::string> receive(Millis patience = Millis{5'000});
  bool closed() const { return closed_; }

  // ---- as docs/protocol.md has it

  struct Heard {
    uint32_t field = 0;
    uint64_t session = 0;
    std::string body;
  };
  std::optional<Heard> hear(Millis patience = Millis{5'000});
  /// HELLO, and the session that WELCOME names. 0: refused; `refusal` says why.
  uint64_t greet(int role = 0, uint32_t version = kProtocolVersion);
  /// The next frame of the session.
  bool say(uint32_t field, std::string_view body);
  /// The number of the next signal that this session publishes.
  uint64_t number() { return ++published_; }
  const std::string& refusal() const { return refusal_; }
  int reason() const { return reason_; }

 private:
  bool write_all(std::string_view bytes);
  /// Fills `in_` up to `size` bytes.
  bool fill(size_t size, Millis until);

  int fd_ = -1;
  bool closed_ = false;
  std::string in_;
  uint64_t session_ = 0, said_ = 0, published_ = 0;
  std::string refusal_;
  int reason_ = 0;
};

}  // namespace detent::house
