// What Python calls on rows of a sparse matrix.

#include "rows.h"

#include "export.h"
#include "machine.h"

extern "C" {

// Whether all values were in range; if not, the sums mean nothing.
SKFM_EXPORT int32_t skfm_sums(const skfm::Rows* rows) {
  using namespace skfm;
  return SKFM_BEST(sums)(*rows);
}
}
