// What the kernels are given. Each instruction set has its own copy of them; see `kernels.cc`.
#pragma once

#include <cstdint>

namespace skfm {

// One batch of B rows of S slots. A slot's row of the table is `touched[position]`.
template <typename T>
struct Slots {
  int64_t n_rows, n_slots;
  const int32_t* touched;
  const int32_t* position;
  const T* values;  // (B, S), or null where every value is 1
};

// The rows of a table start every `stride` numbers. Those of its state are in arrays of their own, or in the
// same rows, behind their `width` numbers.

// Sums over slots of rows of the table, and of the squared norms of their vectors.
template <typename T>
struct Pool {
  Slots<T> slots;
  const T* table;
  int64_t stride, width, n_vectors;
  const int32_t* spans;  // (V, 2) where the numbers of a vector start and end in a row
  T* sums;               // (B, W)
  T* norms;              // (B, V)
};

template <typename T>
struct Gather {
  Slots<T> slots;
  const T* table;
  int64_t width;
  T* rows;  // (B, S, W)
};

// The last adds gradients to its state and leaves the table alone.
enum Solver : int32_t { kSgd = 0, kAdaGrad = 1, kAdam = 2, kFtrl = 3, kSum = 4 };
constexpr int kMostStates = 4;
constexpr int kNumbers = 8;

constexpr int n_states(Solver solver) { return solver == kFtrl ? 4 : solver == kAdam ? 2 : 1; }

// The numbers [begin, end) of each row have a solver of their own.
template <typename T>
struct Segment {
  Solver solver;
  int64_t begin, end;
  T* states[kMostStates];  // of the first row of the table
  int64_t stride;          // of each of them
  const T* numbers;        // rate, factors of gradients and of charges, then the solver's own
};

constexpr int kMostSegments = 2;

// One step: the gradient of each touched row, penalties, state and row, in place.
template <typename T>
struct Update {
  Slots<T> slots;
  T* table;
  int64_t stride, width, n_vectors, n_charges;
  const int32_t* spans;
  const int32_t* starts;    // (R + 1) where the slots of a touched row start in `order`
  const int32_t* order;     // (B S) numbers of slots, row of the batch times S plus slot
  const T* charge;          // (R, n_charges); rows with 0 are left alone
  const T* lanes_l1;        // (W)
  const T* lanes_l2;        // (W)
  const T* gradient;        // of the sums (B, W), or of the gathered slots (B, S, W)
  const T* gradient_norms;  // (B, V)
  bool pooled;
  bool joined;  // whether states are in the rows of the table
  int n_segments;
  Segment<T> segments[kMostSegments];
};

// Rows without a charge are left alone.
template <typename T>
bool is_charged(const Update<T>& u, int64_t r) {
  return u.charge[r * u.n_charges] > 0;
}

// Ranges of rows of the batch, and of touched rows: [begin, end).
template <typename T>
struct FieldPairs;
template <typename T>
struct FieldPairsUpdate;

template <typename T>
struct Kernels {
  void (*pool)(const Pool<T>&, int64_t begin, int64_t end);
  void (*gather)(const Gather<T>&, int64_t begin, int64_t end);
  void (*update)(const Update<T>&, int64_t begin, int64_t end);
  void (*field_pairs)(const FieldPairs<T>&, int64_t begin, int64_t end);
  void (*field_pairs_in_chunk)(const FieldPairsUpdate<T>&, int64_t chunk);
  void (*field_pairs_over_chunks)(const FieldPairsUpdate<T>&, int64_t begin, int64_t end);
};

struct AllKernels {
  Kernels<float> of_float;
  Kernels<double> of_double;
};

namespace plain {
AllKernels kernels();
}
#if defined(__x86_64__)
namespace avx2 {
AllKernels kernels();
}
namespace avx512 {
AllKernels kernels();
}
#endif

}  // namespace skfm
