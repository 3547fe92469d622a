// Reading the journal's records.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core.h"

namespace detent {

class DeadLetter;

/// The id of the delivery. Version 1 named it by the number of its only signal.
uint64_t id_of(const DeadLetter& letter);

/// A Deliver, sealed, with the bodies from the journal. Those that cannot be read are left out.
std::string deliver_frame(const Outgoing::Bodies& bodies, JournalReader& journal, Unread& unread);

}  // namespace detent
