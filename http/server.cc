#include "http/server.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/log.h"
#include "base/result.h"
#include "http/session.h"

namespace detent::http {

namespace {
constexpr Millis kSilentFor{1000};  // so long a connection is left to send its request, however many others want one
}  // namespace

ServerCore::ServerCore(ServerOptions with, Server::Serve by) : options(std::move(with)), serve(std::move(by)) {
  const std::size_t colon = options.listen.rfind(':');
  const auto refuse = [this](const std::string& why) {
    throw Failure("cannot listen on " + options.listen + ": " + why);
  };
  if (colon == std::string::npos) refuse("not of the form address:port");
  std::string host = options.listen.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string digits = options.listen.substr(colon + 1);
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos ||
      std::stoul(digits) > 65535) {
    refuse("the port is not a number from 0 to 65535");
  }
  error_code failed;
  const auto address = net::ip::make_address(host == "localhost" ? "127.0.0.1" : host, failed);
  if (failed) refuse("the address is not a numeric one");
  const tcp::endpoint endpoint(address, std::uint16_t(std::stoul(digits)));
  acceptor.open(endpoint.protocol(), failed);
  if (!failed) acceptor.set_option(net::socket_base::reuse_address(true), failed);
  if (!failed) acceptor.bind(endpoint, failed);
  if (!failed) acceptor.listen(net::socket_base::max_listen_connections, failed);
  if (!failed) bound = acceptor.local_endpoint(failed);
  if (failed) refuse(failed.message());
}

void ServerCore::accept() {
  acceptor.async_accept([this](error_code failed, tcp::socket socket) {
    if (stopping) return;
    if (failed) {
      // Out of descriptors, most likely: those waiting in the backlog stay there for a moment.
      spdlog::warn("http: accepting on {}: {}", options.listen, failed.message());
      pause.emplace(io, Millis(200));
      pause->async_wait([this](error_code) {
        if (!stopping) accept();
      });
      return;
    }
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto session = std::make_shared<Session>(shared_from_this(), std::move(socket));
    sessions[session.get()] = session;
    if (sessions.size() > options.max_connections && !close_a_silent_one()) {
      session->refuse(503);
    } else {
      session->read();
    }
    accept();
  });
}

void ServerCore::bound_bodies() {
  const std::size_t most = std::max(options.max_bodies, 2 * options.max_body);
  while (bodies > most) {
    Session* oldest = nullptr;
    for (const auto& [raw, session] : sessions) {
      if (raw->reads_body() && (!oldest || raw->since() < oldest->since())) oldest = raw;
    }
    if (!oldest) return;  // those that are left are whole, and being answered
    oldest->evict();
  }
}

bool ServerCore::close_a_silent_one() {
  std::shared_ptr<Session> longest;
  for (const auto& [raw, session] : sessions) {
    if (raw->silent() && (!longest || raw->since() < longest->since())) longest = session;
  }
  if (!longest || Session::Clock::now() - longest->since() < kSilentFor) return false;
  longest->close();
  return true;
}

void ServerCore::after(Millis delay, std::function<void()> act) {
  timers.emplace_front(io, delay);
  const auto self = timers.begin();
  self->async_wait([this, self, act = std::move(act)](error_code failed) {
    if (stopping) return;
    timers.erase(self);
    if (!failed) act();
  });
}

void ServerCore::stop() {
  net::post(io, [this] {
    stopping = true;
    error_code ignored;
    acceptor.close(ignored);
    pause.reset();
    timers.clear();
    const auto all = std::move(sessions);
    sessions.clear();
    for (const auto& [raw, session] : all) session->close();
  });
  thread.join();
}

Server::Server(ServerOptions options, Serve serve)
    : core_(std::make_shared<ServerCore>(std::move(options), std::move(serve))) {
  core_->run();
}

Server::~Server() { core_->stop(); }

std::uint16_t Server::port() const { return core_->bound.port(); }

std::string Server::url() const {
  const auto address = core_->bound.address();
  return fmt::format("http://{}:{}", address.is_v6() ? "[" + address.to_string() + "]" : address.to_string(), port());
}

void Server::post(std::function<void()> act) {
  net::post(core_->io, [core = core_.get(), act = std::move(act)] {
    if (!core->stopping) act();
  });
}

void Server::after(Millis delay, std::function<void()> act) {
  post([core = core_.get(), delay, act = std::move(act)]() mutable { core->after(delay, std::move(act)); });
}

}  // namespace detent::http
