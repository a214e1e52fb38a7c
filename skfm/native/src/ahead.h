// Memory that is asked for before it is needed.
#pragma once

#include "kernels.h"
#include "lanes.h"

namespace skfm {

// Whether the memory is written to; what is needed later comes only as far as the second cache.
enum class Need { kToWrite, kToRead, kLater };

// Asks for the cache lines of n numbers.
template <Need kNeed = Need::kToWrite, typename T>
SKFM_INLINE void ask_for(const T* p, int64_t n) {
  const char* end = reinterpret_cast<const char*>(p + n) - 1;
  constexpr int kWrite = kNeed == Need::kToWrite, kLevel = kNeed == Need::kLater ? 2 : 3;
  for (const char* at = reinterpret_cast<const char*>(p); at < end; at += 64) {
    __builtin_prefetch(at, kWrite, kLevel);
  }
  __builtin_prefetch(end, kWrite, kLevel);
}

// The same of a row of the table and its state.
template <Need kNeed = Need::kToWrite, typename T>
SKFM_INLINE void ask_for_row(const Update<T>& u, int64_t id) {
  ask_for<kNeed>(u.table + id * u.stride, u.stride);
  if (u.joined) return;
  for (int i = 0; i < u.n_segments; ++i) {
    const auto& s = u.segments[i];
    for (int j = 0; j < n_states(s.solver); ++j) ask_for<kNeed>(s.states[j] + id * s.stride, s.stride);
  }
}

}  // namespace skfm
