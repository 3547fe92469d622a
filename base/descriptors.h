// File descriptors: as many as the system allows, and a few kept back for files.
#pragma once

#include <cstdint>
#include <string>

namespace detent {

/// Raises the soft limit of this process to the hard one and returns it: connections are bounded by ourselves, and the
/// soft limit of many systems (1024) is there for programs that use select. Children inherit it.
uint64_t raise_descriptor_limit();

/// open(2), with O_CLOEXEC, which has a few descriptors in reserve: where others have used up all (EMFILE), it gives
/// one of them up. They are taken back as soon as there is room. Any thread.
int open_file(const std::string& path, int flags, unsigned mode = 0);

}  // namespace detent
