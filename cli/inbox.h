// The inbox of whoever hands off tasks: how those ended that nobody has read yet.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>

namespace detent {

/// Asks the dispatcher one thing and gives its answer; throws Failure with the reason.
using AskJson = std::function<boost::json::value(const boost::json::object& question)>;

/// `tasks`, the one that ended first in front, each with its result, and how many were `left_off`.
boost::json::value read_inbox(const AskJson& ask);
/// What `read_inbox` gave was shown: it is not unread any more. Throws Failure where that is not known to be durable;
/// then the same may be shown once more.
void mark_read(const AskJson& ask, const boost::json::value& inbox);

}  // namespace detent
