// How much room the disk of a repository must have for what is done in it.
//
// Below the broker's low water nothing more is published, and what is journalled already goes on to its channels and to
// the ledger, for that is what lets segments go. So commits go on below it, and only the last eighth is left to the
// journal, which needs it to settle; packing, which writes before it deletes, waits until there is all of it. A
// small disk of the ledger's own is not kept empty for that: no mark is above a tenth of the disk.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace detent {

constexpr std::uint64_t room_for_commits(std::uint64_t low_water) { return low_water / 8; }
constexpr std::uint64_t room_for_packing(std::uint64_t low_water) { return low_water; }

/// An error with ENOSPC where the disk of `path` has less than `bytes` left, in words.
Result<> check_room(const std::filesystem::path& path, std::uint64_t bytes);

}  // namespace detent
