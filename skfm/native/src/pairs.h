// Pairs of fields; see `pairs.cc`.
#pragma once

#include "kernels.h"

namespace skfm {

// Rows of the table are numbers that are summed, and then vectors for each field, (n_outputs, n_fields,
// n_factors).
template <typename T>
struct FieldPairs {
  Slots<T> slots;
  const int32_t* fields;  // (B, S), others than 0..n_fields - 1 in no pair; null where slot s is field s
  const T* table;
  int64_t width, start;  // where the vectors start in a row
  int64_t n_outputs, n_fields, n_factors;
  T* sums;   // (B, start)
  T* pairs;  // (B, n_outputs)
};

// One step. A row that one slot alone touches is read by one row of the batch alone: it is updated on the
// spot. Gradients of the others are kept by chunks of rows of the batch, and added up in their order.
template <typename T>
struct FieldPairsUpdate {
  FieldPairs<T> pairs;
  Update<T> update;
  const T* of_sums;   // gradient of the sums (B, start)
  const T* of_pairs;  // and of the pairs (B, n_outputs)
  int64_t n_touched, n_chunks, rows_of_chunk;
  const int32_t* places;  // (n_chunks, R) where a chunk keeps its part of a touched row's gradient, or -1
  const int32_t* ends;    // (n_chunks) those of a chunk end here, and those of the next one begin
  T* kept;
  int64_t stride;  // of `kept`

  bool is_alone(int64_t r) const { return update.starts[r + 1] - update.starts[r] == 1; }
};

}  // namespace skfm
