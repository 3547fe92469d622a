// A signal's story in words, from the broker's answer to "trace".
#pragma once

#include <boost/json/fwd.hpp>
#include <iosfwd>
#include <string>

namespace detent {

/// Head, then what happened with its times, then the sentence.
void print_trace(std::ostream& out, const boost::json::value& story);

/// Where the signal stands in every channel: "journalled at …; discord.alerts: delivered at … (link); telegram:
/// retrying since …: 503".
std::string trace_sentence(const boost::json::value& story);

}  // namespace detent
