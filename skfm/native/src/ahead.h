// Memory that is asked for before it is needed.
#pragma once

#include "kernels.h"
#include "lanes.h"

namespace skfm {

// Asks for the cache lines of n numbers; those that are not needed at once, only into the second cache.
template <bool kEarly = false, typename T>
SKFM_INLINE void ask_for(const T* p, int64_t n) {
  const char* end = reinterpret_cast<const char*>(p + n) - 1;
  constexpr int kLevel = kEarly ? 2 : 3;
  for (const char* at = reinterpret_cast<const char*>(p); at < end; at += 64) {
    __builtin_prefetch(at, !kEarly, kLevel);
  }
  __builtin_prefetch(end, !kEarly, kLevel);
}

// The same of a row of the table and its state.
template <bool kEarly = false, typename T>
SKFM_INLINE void ask_for_row(const Update<T>& u, int64_t id) {
  ask_for<kEarly>(u.table + id * u.width, u.width);
  for (int i = 0; i < u.n_segments; ++i) {
    const auto& s = u.segments[i];
    for (const T* state : s.states) {
      if (state) ask_for<kEarly>(state + id * (s.end - s.begin), s.end - s.begin);
    }
  }
}

}  // namespace skfm
