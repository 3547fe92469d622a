#include "http/session.h"

#include <sys/socket.h>

#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/memory.h"
#include "base/result.h"
#include "http/url.h"

namespace detent::http {

namespace {
constexpr std::size_t kMuch = 1 << 20;  // of a body that goes: worth giving back
}  // namespace

std::string_view Incoming::header(std::string_view name) const {
  const std::string* value = find_header(headers, name);
  return value ? std::string_view(*value) : std::string_view{};
}

const std::string* Incoming::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Session::close() {
  if (closed.exchange(true)) return;
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
  stream_.close();
  hold_body(0);
  const auto left = std::move(left_);
  left_ = nullptr;
  const auto self = shared_from_this();
  core_->sessions.erase(this);
  if (answering_ && left && !core_->stopping) left();
}

void Session::reset() {
  error_code ignored;
  stream_.socket().set_option(net::socket_base::linger(true, 0), ignored);
  left_ = nullptr;
  closed = true;
  stream_.close();
  hold_body(0);
  core_->sessions.erase(this);
}

void Session::read() {
  parser_.emplace();
  parser_->header_limit(std::uint32_t(core_->options.max_header));
  parser_->body_limit(core_->options.max_body);
  since_ = Clock::now();
  stream_.expires_after(core_->options.idle);
  beast::http::async_read_header(
      stream_, ahead_, *parser_, [self = shared_from_this()](error_code failed, std::size_t) {
        if (self->closed) return;
        if (!failed) return self->begin_body();
        if (failed == beast::http::error::header_limit) return self->refuse(431);
        if (failed == beast::http::error::body_limit) return self->refuse(413);
        const bool ended = failed == beast::http::error::end_of_stream || failed == beast::http::error::partial_message;
        const bool malformed = failed.category() == make_error_code(beast::http::error::end_of_stream).category();
        malformed && !ended ? self->refuse(400) : self->close();
      });
}

void Session::begin_body() {
  since_ = Clock::now();
  reads_body_ = true;
  parser_->eager(true);
  if (!parser_->is_done() && same_name(parser_->get()[beast::http::field::expect], "100-continue")) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    net::async_write(stream_, net::buffer(kContinue), [self = shared_from_this()](error_code failed, std::size_t) {
      if (self->closed) return;
      failed ? self->close() : self->read_body();
    });
    return;
  }
  read_body();
}

void Session::read_body() {
  hold_body(parser_->get().body().size());
  if (evicted_) {
    // What of the body came is let go before the answer, which its client may never take.
    evicted_ = reads_body_ = false;
    parser_.reset();
    return refuse(503);
  }
  if (parser_->is_done()) {
    reads_body_ = false;
    return dispatch();
  }
  beast::http::async_read_some(stream_, ahead_, *parser_, [self = shared_from_this()](error_code failed, std::size_t) {
    if (self->closed) return;
    if (!failed || self->evicted_) return self->read_body();
    self->reads_body_ = false;
    if (failed != beast::http::error::body_limit) return self->close();
    self->parser_.reset();
    self->refuse(413);
  });
}

/// Counts the bytes of its request's body: from the first of them until the answer is complete.
void Session::hold_body(std::size_t bytes) {
  if (evicted_) bytes = 0;
  const std::size_t before = std::exchange(body_, bytes);
  core_->bodies += bytes;
  core_->bodies -= before;
  if (bytes > before) core_->bound_bodies();
  if (before > bytes && before >= kMuch) give_back_memory_soon();
}

void Session::evict() {
  evicted_ = true;
  hold_body(0);
  stream_.cancel();  // what it waits for; then `read_body` answers
}

void Session::dispatch() {
  auto message = parser_->release();
  keep_ = message.keep_alive();
  http10_ = message.version() < 11;
  bodiless_ = message.method() == beast::http::verb::head;
  Incoming in{.method = message.method_string(), .target = message.target(), .body = std::move(message.body())};
  const std::size_t mark = in.target.find('?');
  in.path = percent_decode(std::string_view(in.target).substr(0, mark));
  if (mark != in.target.npos) in.query = parse_query(std::string_view(in.target).substr(mark + 1));
  for (const auto& field : message) in.headers.emplace_back(field.name_string(), field.value());
  error_code failed;
  in.loopback = stream_.socket().remote_endpoint(failed).address().is_loopback();
  in.reached = stream_.socket().local_endpoint(failed).address().to_string();

  ++number_;
  answering_ = true;
  begun_ = chunked_ = held_ = false;
  stream_.expires_never();
  Reply reply;
  reply.ticket_ = std::make_shared<Reply::Ticket>(shared_from_this(), number_);
  try {
    core_->serve(std::move(in), reply);
  } catch (const std::exception& thrown) {
    const std::string_view target(message.target().data(), message.target().size());
    spdlog::warn("http: {} {}: {}", std::string_view(message.method_string().data(), message.method_string().size()),
                 target.substr(0, target.find('?')), thrown.what());
    reply.send({.status = 500, .body = R"({"error":"internal"})"});
  }
  watch();
}

/// Notices that the client has gone while the answer is being waited for.
void Session::watch() {
  stream_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this(), number = number_](error_code failed) {
    if (failed || self->closed || !self->current(number)) return;
    char byte;
    const auto got = ::recv(self->stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) return;  // the next request, early; it waits its turn
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return self->watch();
    self->close();
  });
}

void Session::drop(std::uint64_t number) {
  if (!current(number) || held_) return;
  if (begun_) return close();  // cut short, and seen to be
  answer(number, {.status = 500, .body = R"({"error":"the request was dropped"})"}, false);
}

void Session::on_gone(std::uint64_t number, std::function<void()> left) {
  if (!current(number)) return;
  if (closed) {
    if (!core_->stopping) left();
  } else {
    left_ = std::move(left);
  }
}

void Session::answer(std::uint64_t number, Outgoing out, bool streamed) {
  if (!current(number) || begun_) return;
  begun_ = true;
  chunked_ = streamed && !http10_;
  if (streamed && http10_) keep_ = false;
  const bool none = out.status == 204 || out.status == 304;
  const auto reason = beast::http::obsolete_reason(beast::http::int_to_status(unsigned(out.status)));
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", out.status, std::string_view(reason.data(), reason.size()));
  if (!none && !out.content_type.empty()) head += "Content-Type: " + out.content_type + "\r\n";
  for (const auto& [name, value] : out.headers) {
    CHECK(value.find_first_of("\r\n") == value.npos, "a line break in an answer's header");
    head += name + ": " + value + "\r\n";
  }
  if (chunked_) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (!none && !streamed) {
    head += fmt::format("Content-Length: {}\r\n", out.body.size());
  }
  head += keep_ ? (http10_ ? "Connection: keep-alive\r\n\r\n" : "\r\n") : "Connection: close\r\n\r\n";
  if (!streamed) {
    if (!none && !bodiless_) head += out.body;
    put(std::move(head));
    finish(number);
  } else {
    put(std::move(head));
    unread += out.body.size();
    piece(number, std::move(out.body));
  }
}

void Session::piece(std::uint64_t number, std::string text) {
  unread -= text.size();
  if (!current(number) || text.empty() || bodiless_) return;
  put(chunked_ ? fmt::format("{:x}\r\n", text.size()) + text + "\r\n" : std::move(text));
}

void Session::finish(std::uint64_t number) {
  if (!current(number) || !begun_) return;
  if (chunked_ && !bodiless_) put("0\r\n\r\n");
  answering_ = false;
  left_ = nullptr;
  hold_body(0);
  write();
}

void Session::refuse(int status) {
  ++number_;
  answering_ = true;
  begun_ = keep_ = bodiless_ = http10_ = false;
  const auto reason = beast::http::obsolete_reason(beast::http::int_to_status(unsigned(status)));
  answer(number_,
         {.status = status, .body = fmt::format(R"({{"error":"{}"}})", std::string_view(reason.data(), reason.size()))},
         false);
}

void Session::put(std::string bytes) {
  unread += bytes.size();
  out_.push_back(std::move(bytes));
  write();
}

void Session::write() {
  if (writing_ || closed) return;
  if (out_.empty()) {
    if (!answering_) keep_ ? read() : part();
    return;
  }
  writing_ = true;
  stream_.expires_after(core_->options.idle);
  net::async_write(stream_, net::buffer(out_.front()), [self = shared_from_this()](error_code failed, std::size_t) {
    self->writing_ = false;
    self->unread -= self->out_.front().size();
    self->out_.pop_front();
    if (failed) return self->close();
    self->write();
  });
}

/// Ends the connection so that the client still gets what was written: half-closed, and what it sends is read and
/// dropped.
void Session::part() {
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream_.expires_after(Millis(2000));
  ahead_.clear();
  drain();
}

void Session::drain() {
  stream_.async_read_some(ahead_.prepare(16 << 10), [self = shared_from_this()](error_code failed, std::size_t) {
    if (self->closed) return;
    failed ? self->close() : self->drain();
  });
}

}  // namespace detent::http
