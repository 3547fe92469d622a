#include <boost/asio/post.hpp>

#include "http/session.h"

namespace detent::http {

namespace {
constexpr std::size_t kMaxUnread = 4 << 20;  // bytes of a streamed answer the client has not taken yet
}  // namespace

void Reply::send(Outgoing out) const {
  if (!ticket_ || ticket_->used.exchange(true)) return;
  ticket_->settled = true;
  ticket_->ask([number = ticket_->number, out = std::move(out)](Session& at) mutable {
    at.answer(number, std::move(out), false);
  });
}

void Reply::begin(Outgoing head) const {
  if (!ticket_ || ticket_->used.exchange(true)) return;
  ticket_->ask([number = ticket_->number, head = std::move(head)](Session& at) mutable {
    at.answer(number, std::move(head), true);
  });
}

bool Reply::write(std::string piece) const {
  if (!ticket_ || ticket_->session->closed) return false;
  const bool room = ticket_->session->unread.fetch_add(piece.size()) + piece.size() <= kMaxUnread;
  if (room) {
    ticket_->ask([number = ticket_->number, piece = std::move(piece)](Session& at) mutable {
      at.piece(number, std::move(piece));
    });
  } else {
    ticket_->ask([](Session& at) { at.close(); });
  }
  return room;
}

void Reply::end() const {
  if (!ticket_ || !ticket_->used || ticket_->settled.exchange(true)) return;
  ticket_->ask([number = ticket_->number](Session& at) { at.finish(number); });
}

void Reply::reset() const {
  if (!ticket_) return;
  ticket_->used = ticket_->settled = true;
  ticket_->ask([number = ticket_->number](Session& at) {
    if (at.current(number)) at.reset();
  });
}

void Reply::hold() const {
  if (!ticket_ || ticket_->used.exchange(true)) return;
  ticket_->settled = true;
  ticket_->ask([number = ticket_->number](Session& at) { at.hold(number); });
}

void Reply::on_gone(std::function<void()> left) const {
  if (!ticket_ || ticket_->session->core().stopping) return;
  // The client may be gone already, so this is for a closed session too.
  net::post(ticket_->session->core().io,
            [weak = std::weak_ptr(ticket_->session), number = ticket_->number, left = std::move(left)]() mutable {
              if (const auto session = weak.lock()) {
                session->on_gone(number, std::move(left));
              } else {
                left();
              }
            });
}

}  // namespace detent::http
