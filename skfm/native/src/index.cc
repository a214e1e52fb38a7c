// Which rows of the table the slots of a batch touch, and which slots touch a row.

#include <cstdint>

#include "export.h"
#include "sanitizer.h"

extern "C" {

// Numbers the different ids of a batch in the order in which its slots, column by column, first name them,
// and lists the slots of each. Slots of the id `dummy` are not listed.
//
// scratch: one number for each id, of no meaning before and after.
// touched, starts (one more), share: room for all different ids; share is the weight that touches an id.
SKFM_EXPORT int64_t skfm_index(int64_t n_rows, int64_t n_slots, const int32_t* ids, const double* weight,
                               int32_t dummy, int32_t* scratch, int32_t* touched, int32_t* position,
                               int32_t* starts, int32_t* order, double* share) {
  SKFM_COMES_AFTER(&skfm::order_of_calls);
  int64_t n = 0;
  for (int64_t s = 0; s < n_slots; ++s) {
    for (int64_t b = 0; b < n_rows; ++b) {
      const int32_t id = ids[b * n_slots + s];
      int32_t number = scratch[id];
      if (number < 0 || number >= n || touched[number] != id) {
        number = scratch[id] = static_cast<int32_t>(n++);
        touched[number] = id;
        starts[number + 1] = 0;
        share[number] = 0;
      }
      position[b * n_slots + s] = number;
      share[number] += weight[b];
      starts[number + 1] += id != dummy;
    }
  }
  starts[0] = 0;
  for (int64_t i = 0; i < n; ++i) starts[i + 1] += starts[i];
  // Each start moves to its end while the slots are listed, and so to the start of the next.
  for (int64_t i = 0; i < n_rows * n_slots; ++i) {
    if (touched[position[i]] != dummy) order[starts[position[i]]++] = static_cast<int32_t>(i);
  }
  for (int64_t i = n; i > 0; --i) starts[i] = starts[i - 1];
  starts[0] = 0;
  SKFM_COMES_BEFORE(&skfm::order_of_calls);
  return n;
}
}
