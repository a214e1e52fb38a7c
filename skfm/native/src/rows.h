// Rows of a sparse matrix, and the sums of a table that they ask for.
#pragma once

#include <cstdint>

namespace skfm {

// Filled in by `skfm.native.sums`.
struct Rows {
  int64_t n_rows;
  const int64_t* starts;  // (n_rows + 1) where each row starts in `columns` and `values`
  const int32_t* columns;
  const void* values;
  const int32_t* ids;    // row of the table of each column, or null where each has its own
  const double* center;  // of each column, or null
  const double* scale;   // of each column, or null
  double largest;        // absolute value, in standard units, that can be computed with
  const void* table;     // (D, width), each row `stride` numbers after the one before
  int64_t width, stride;
  void* sums;   // (n_rows, width) over the entries
  void* pairs;  // (n_rows, width) over the pairs of entries
  int32_t values_double, table_double;
};

namespace plain {
bool sums(const Rows&);
}
#if defined(__x86_64__)
namespace avx2 {
bool sums(const Rows&);
}
namespace avx512 {
bool sums(const Rows&);
}
#endif

}  // namespace skfm
