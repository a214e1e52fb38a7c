// Pairs of fields; see `pairs.cc`.
#pragma once

#include "kernels.h"

namespace skfm {

// Rows of the table are numbers that are summed, and then vectors for each field, (n_outputs, n_fields, n_factors).
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

template <typename T>
struct FieldPairsGradient {
  FieldPairs<T> pairs;
  const int32_t* starts;
  const int32_t* order;
  const T* of_sums;
  const T* of_pairs;
  T* rows;  // (R, width); rows that no slot touches are left as they are
};

}  // namespace skfm
