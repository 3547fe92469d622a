// Memory that goes back to the system by itself.
#pragma once

namespace detent {

/// What was freed is handed back to the system in a moment, on a thread of its own: the allocator keeps it otherwise,
/// and a burst would show in the process's size until something else asks for it. Many calls in that moment are one.
/// Any thread.
void give_back_memory_soon();

}  // namespace detent
