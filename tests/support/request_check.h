// What the platforms ask of a sender beyond their API documents' tables.
#pragma once

#include "tests/support/request_facts.h"

namespace detent::requests {

/// Of one recorded request (as `detent-sandbox --record` writes it): all that does not fit, by the facts and by
/// manners.
Faults check(const json::object& request);

/// The same of each line of a record; `count` becomes how many there were.
Faults check_record(const std::filesystem::path& record, size_t& count);

}  // namespace detent::requests
