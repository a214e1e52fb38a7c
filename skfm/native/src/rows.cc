// What Python calls on rows of a sparse matrix.

#include "rows.h"

#include "export.h"
#include "machine.h"
#include "sanitizer.h"

extern "C" {

// Whether all values were in range; if not, the sums mean nothing.
SKFM_EXPORT int32_t skfm_sums(const skfm::Rows* rows) {
  using namespace skfm;
  SKFM_COMES_AFTER(&order_of_calls);
  const bool in_range = SKFM_BEST(sums)(*rows);
  SKFM_COMES_BEFORE(&order_of_calls);
  return in_range;
}
}
