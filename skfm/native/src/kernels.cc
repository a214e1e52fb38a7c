// Sums over slots, and updates of touched rows. Compiled once for each instruction set, named SKFM_SET.
//
// Every number is added up in one fixed order, so results do not depend on how rows are cut into ranges.

#include "kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ahead.h"
#include "lanes.h"
#include "pairs.h"

namespace skfm {
namespace SKFM_SET {

template <typename T>
void field_pairs(const FieldPairs<T>&, int64_t, int64_t);
template <typename T>
void field_pairs_in_chunk(const FieldPairsUpdate<T>&, int64_t);
template <typename T>
void field_pairs_over_chunks(const FieldPairsUpdate<T>&, int64_t, int64_t);

namespace {

// Rows ahead of which memory is asked for.
constexpr int64_t kAhead = 16, kAheadSlots = 32;

// Quotients of 32-bit numbers by one divisor, without a division (Lemire 2019).
struct Divisor {
  uint64_t inverse;
  bool is_one;
  explicit Divisor(uint32_t d) : inverse(UINT64_MAX / d + 1), is_one(d == 1) {}
  uint32_t divide(uint32_t n) const {
    return is_one ? n : static_cast<uint32_t>((static_cast<unsigned __int128>(inverse) * n) >> 64);
  }
};

template <typename T, bool kValues>
struct PoolBlock {
  const Pool<T>& p;
  int64_t begin, end;

  template <int W>
  void run(int64_t offset) {
    const int64_t S = p.slots.n_slots;
    for (int64_t b = begin; b < end; ++b) {
      auto sum = Lanes<T, W>::zero(), squares = Lanes<T, W>::zero();
      const int32_t* position = p.slots.position + b * S;
      for (int64_t s = 0; s < S; ++s) {
        if (b * S + s + kAheadSlots < end * S) {
          ask_for(p.table + p.slots.touched[position[s + kAheadSlots]] * p.stride, p.width);
        }
        const int64_t id = p.slots.touched[position[s]];
        const auto row = Lanes<T, W>::load(p.table + id * p.stride + offset);
        if constexpr (kValues) {
          const T x = p.slots.values[b * S + s];
          sum.add_times(row, x);
          squares.add_squares_times(row, x * x);
        } else {
          sum.add(row);
          squares.add_squares_times(row, T(1));
        }
      }
      sum.store(p.sums + b * p.width + offset);
      if (p.n_vectors) {
        T all[W];
        squares.store(all);
        for (int64_t v = 0; v < p.n_vectors; ++v) {
          const int64_t first = std::max<int64_t>(p.spans[2 * v] - offset, 0);
          const int64_t last = std::min<int64_t>(p.spans[2 * v + 1] - offset, W);
          T norm = 0;
          for (int64_t l = first; l < last; ++l) norm += all[l];
          p.norms[b * p.n_vectors + v] += norm;
        }
      }
    }
  }
};

template <typename T>
void pool(const Pool<T>& p, int64_t begin, int64_t end) {
  std::memset(p.norms + begin * p.n_vectors, 0, (end - begin) * p.n_vectors * sizeof(T));
  if (p.slots.values) {
    each_block(p.width, PoolBlock<T, true>{p, begin, end});
  } else {
    each_block(p.width, PoolBlock<T, false>{p, begin, end});
  }
}

template <typename T>
void gather(const Gather<T>& g, int64_t begin, int64_t end) {
  const int64_t S = g.slots.n_slots, W = g.width;
  for (int64_t i = begin * S; i < end * S; ++i) {
    const int64_t id = g.slots.touched[g.slots.position[i]];
    std::memcpy(g.rows + i * W, g.table + id * W, W * sizeof(T));
  }
}

// Minimiser of (w - p)^2 / (2 size) + l1 |w| + l2 / 2 w^2; NaN stays NaN.
template <typename T>
SKFM_INLINE T proximal(T p, T size, T l1, T l2) {
  const T left = std::abs(p) - size * l1;
  return std::copysign(left < 0 ? T(0) : left, p) / (1 + size * l2);
}

// N numbers of one row. The solvers are those of `skfm.optim.solvers`.
template <typename T>
struct Numbers {
  T* w;
  const T* gradient;
  T* state[kMostStates];
  const T* lanes_l1;
  const T* lanes_l2;
  T charge_l1, charge_l2;
  const T* numbers;

  SKFM_INLINE Numbers at(int64_t l) const {
    Numbers out = *this;
    out.w += l;
    out.gradient += l;
    for (auto& s : out.state) s = s ? s + l : s;
    out.lanes_l1 += l;
    out.lanes_l2 += l;
    return out;
  }
};

template <Solver kSolver, int N, typename T>
SKFM_INLINE void step(const Numbers<T>& n) {
  const T rate = n.numbers[0], factor = n.numbers[1], charged = n.numbers[2];
  T w[N];
  T s[kMostStates][N];
  for (int l = 0; l < N; ++l) w[l] = n.w[l];
  for (int i = 0; i < n_states(kSolver); ++i) {
    for (int l = 0; l < N; ++l) s[i][l] = n.state[i][l];
  }
#pragma omp simd
  for (int l = 0; l < N; ++l) {
    const T g = n.gradient[l] * factor;
    const T l1 = n.charge_l1 * n.lanes_l1[l] * charged, l2 = n.charge_l2 * n.lanes_l2[l] * charged;
    if constexpr (kSolver == kAdaGrad) {
      s[0][l] += g * g;
      // The proximal step of size rate / root, times root / root.
      const T root = std::sqrt(s[0][l]), p = w[l] * root - rate * g;
      const T left = std::abs(p) - rate * l1;
      w[l] = std::copysign(left < 0 ? T(0) : left, p) / (root + rate * l2);
    } else if constexpr (kSolver == kSgd) {
      const T velocity = n.numbers[3] * s[0][l] + g;
      w[l] = proximal(w[l] - rate * velocity, rate, l1, l2);
      const T sign = w[l] > 0 ? T(1) : T(-1);
      s[0][l] = w[l] == 0 ? T(0) : velocity + l1 * sign + l2 * w[l];
    } else if constexpr (kSolver == kAdam) {
      // decay of mean and of squares, epsilon, and the corrections of this step.
      s[0][l] = n.numbers[3] * s[0][l] + (1 - n.numbers[3]) * g;
      s[1][l] = n.numbers[4] * s[1][l] + (1 - n.numbers[4]) * g * g;
      const T size = rate / (std::sqrt(s[1][l] / n.numbers[7]) + n.numbers[5]);
      w[l] = proximal(w[l] - size * (s[0][l] / n.numbers[6]), size, l1, l2);
    } else if constexpr (kSolver == kSum) {
      s[0][l] += g;
    } else {
      // The charges so far, squares and z.
      const T root = std::sqrt(s[2][l]), beta = n.numbers[3];
      s[0][l] += rate * l1;
      s[1][l] += rate * l2;
      s[2][l] += g * g;
      const T new_root = std::sqrt(s[2][l]);
      s[3][l] += rate * g - (new_root - root) * w[l];
      const T left = std::abs(s[3][l]) - s[0][l];
      w[l] = -std::copysign(left < 0 ? T(0) : left, s[3][l]) / (beta + new_root + s[1][l]);
    }
  }
  for (int l = 0; l < N; ++l) n.w[l] = w[l];
  for (int i = 0; i < n_states(kSolver); ++i) {
    for (int l = 0; l < N; ++l) n.state[i][l] = s[i][l];
  }
}

template <Solver kSolver, typename T>
SKFM_INLINE void step_numbers(const Numbers<T>& n, int64_t size) {
  int64_t l = 0;
  for (; l + 16 <= size; l += 16) step<kSolver, 16>(n.at(l));
  if (size & 8) step<kSolver, 8>(n.at(l)), l += 8;
  if (size & 4) step<kSolver, 4>(n.at(l)), l += 4;
  if (size & 2) step<kSolver, 2>(n.at(l)), l += 2;
  if (size & 1) step<kSolver, 1>(n.at(l));
}

// Gradient of W numbers of a touched row, which the slots [first, last) of `order` touch; returns that of the
// norm of its first vector.
template <int W, bool kValues, bool kNorm, typename T>
SKFM_INLINE T pooled(const Update<T>& u, const Divisor& slots, int64_t first, int64_t last, int64_t offset,
                     T* out) {
  auto sum = Lanes<T, W>::zero();
  T norm = 0;
  for (int64_t i = first; i < last; ++i) {
    const int32_t slot = u.order[i];
    const int64_t b = slots.divide(slot);
    const auto of_row = Lanes<T, W>::load(u.gradient + b * u.width + offset);
    if constexpr (kValues) {
      const T x = u.slots.values[slot];
      sum.add_times(of_row, x);
      if constexpr (kNorm) norm += u.gradient_norms[b * u.n_vectors] * (x * x);
    } else {
      sum.add(of_row);
      if constexpr (kNorm) norm += u.gradient_norms[b * u.n_vectors];
    }
  }
  sum.store(out + offset);
  return norm;
}

template <bool kValues, typename T>
struct PooledGradient {
  const Update<T>& u;
  const Divisor& slots;
  int64_t first, last;
  T* out;
  T norm;

  template <int W>
  SKFM_INLINE void run(int64_t offset) {
    if (u.n_vectors && !offset) {
      norm = pooled<W, kValues, true>(u, slots, first, last, offset, out);
    } else {
      pooled<W, kValues, false>(u, slots, first, last, offset, out);
    }
  }
};

template <typename T>
struct GatheredGradient {
  const Update<T>& u;
  int64_t first, last;
  T* out;

  template <int W>
  SKFM_INLINE void run(int64_t offset) {
    auto sum = Lanes<T, W>::zero();
    for (int64_t i = first; i < last; ++i) {
      sum.add(Lanes<T, W>::load(u.gradient + u.order[i] * u.width + offset));
    }
    sum.store(out + offset);
  }
};

// Adds the gradient of the squared norms of a row's vectors.
template <bool kValues, typename T>
void add_norms(const PooledGradient<kValues, T>& g, const T* row) {
  const Update<T>& u = g.u;
  for (int64_t v = 0; v < u.n_vectors; ++v) {
    T norm = v ? 0 : g.norm;
    for (int64_t i = g.first; v && i < g.last; ++i) {
      const int32_t slot = u.order[i];
      const T x = kValues ? u.slots.values[slot] : T(1);
      norm += u.gradient_norms[g.slots.divide(slot) * u.n_vectors + v] * (x * x);
    }
    for (int64_t l = u.spans[2 * v]; l < u.spans[2 * v + 1]; ++l) g.out[l] += 2 * norm * row[l];
  }
}

template <typename T>
SKFM_INLINE Numbers<T> numbers_of(const Update<T>& u, int segment, int64_t r, T* gradient) {
  const auto& s = u.segments[segment];
  const int64_t id = u.slots.touched[r];
  const T* charge = u.charge + r * u.n_charges;
  Numbers<T> n{u.table + id * u.stride + s.begin,
               gradient + s.begin,
               {},
               u.lanes_l1 + s.begin,
               u.lanes_l2 + s.begin,
               charge[0],
               charge[u.n_charges - 1],
               s.numbers};
  for (int j = 0; j < n_states(s.solver); ++j) n.state[j] = s.states[j] + id * s.stride;
  return n;
}

}  // namespace

// A touched row by its gradient.
template <typename T>
void update_row(const Update<T>& u, int64_t r, T* gradient) {
  for (int i = 0; i < u.n_segments; ++i) {
    const auto& s = u.segments[i];
    const auto numbers = numbers_of(u, i, r, gradient);
    switch (s.solver) {
      case kSgd:
        step_numbers<kSgd>(numbers, s.end - s.begin);
        break;
      case kAdaGrad:
        step_numbers<kAdaGrad>(numbers, s.end - s.begin);
        break;
      case kAdam:
        step_numbers<kAdam>(numbers, s.end - s.begin);
        break;
      case kFtrl:
        step_numbers<kFtrl>(numbers, s.end - s.begin);
        break;
      case kSum:
        step_numbers<kSum>(numbers, s.end - s.begin);
        break;
    }
  }
}

template void update_row(const Update<float>&, int64_t, float*);
template void update_row(const Update<double>&, int64_t, double*);

namespace {

// What the gradient is given with respect to: slots, or sums over slots whose values are all 1, or not.
enum class Of { kSlots, kOnes, kValues };

// Touched rows of any width.
template <Of kOf, typename T>
void update_rows(const Update<T>& u, int64_t begin, int64_t end) {
  const Divisor slots(static_cast<uint32_t>(u.slots.n_slots));
  std::vector<T> gradient(u.width);
  for (int64_t r = begin; r < end; ++r) {
    if (r + kAhead < end) ask_for_row(u, u.slots.touched[r + kAhead]);
    if (!is_charged(u, r)) continue;
    if constexpr (kOf == Of::kSlots) {
      each_block(u.width, GatheredGradient<T>{u, u.starts[r], u.starts[r + 1], gradient.data()});
    } else {
      PooledGradient<kOf == Of::kValues, T> g{u, slots, u.starts[r], u.starts[r + 1], gradient.data(), T(0)};
      each_block(u.width, g);
      add_norms(g, u.table + u.slots.touched[r] * u.stride);
    }
    update_row(u, r, gradient.data());
  }
}

// Touched rows of W numbers with one vector at most and one solver: all numbers stay in registers.
template <int W, bool kValues, Solver kSolver, typename T>
void update_narrow(const Update<T>& u, int64_t begin, int64_t end) {
  const Divisor slots(static_cast<uint32_t>(u.slots.n_slots));
  T gradient[W], twice[W] = {};
  if (u.n_vectors) std::fill(twice + u.spans[0], twice + u.spans[1], T(2));
  const auto of_vector = Lanes<T, W>::load(twice);
  for (int64_t r = begin; r < end; ++r) {
    if (r + kAhead < end) ask_for_row(u, u.slots.touched[r + kAhead]);
    if (!is_charged(u, r)) continue;
    const int64_t first = u.starts[r], last = u.starts[r + 1];
    if (u.n_vectors) {
      const T norm = pooled<W, kValues, true>(u, slots, first, last, 0, gradient);
      auto all = Lanes<T, W>::load(gradient);
      all.add_product_times(of_vector, Lanes<T, W>::load(u.table + u.slots.touched[r] * u.stride), norm);
      all.store(gradient);
    } else {
      pooled<W, kValues, false>(u, slots, first, last, 0, gradient);
    }
    step_numbers<kSolver>(numbers_of(u, 0, r, gradient), W);
  }
}

template <int W, bool kValues, typename T>
void update_narrow(const Update<T>& u, int64_t begin, int64_t end) {
  switch (u.segments[0].solver) {
    case kSgd:
      return update_narrow<W, kValues, kSgd>(u, begin, end);
    case kAdaGrad:
      return update_narrow<W, kValues, kAdaGrad>(u, begin, end);
    case kAdam:
      return update_narrow<W, kValues, kAdam>(u, begin, end);
    case kFtrl:
      return update_narrow<W, kValues, kFtrl>(u, begin, end);
    case kSum:
      return update_narrow<W, kValues, kSum>(u, begin, end);
  }
}

// Widths that have code of their own: powers of two, and one more than these.
template <bool kValues, int W, int... kMore, typename T>
void update_pooled(const Update<T>& u, int64_t begin, int64_t end) {
  if (u.width == W && u.n_vectors <= 1 && u.n_segments == 1) return update_narrow<W, kValues>(u, begin, end);
  if constexpr (sizeof...(kMore) > 0) {
    update_pooled<kValues, kMore...>(u, begin, end);
  } else {
    update_rows<kValues ? Of::kValues : Of::kOnes>(u, begin, end);
  }
}

template <typename T>
void update(const Update<T>& u, int64_t begin, int64_t end) {
  if (!u.pooled) {
    update_rows<Of::kSlots>(u, begin, end);
  } else if (u.slots.values) {
    update_pooled<true, 1, 2, 4, 8, 9, 17>(u, begin, end);
  } else {
    update_pooled<false, 1, 2, 4, 8, 9, 17>(u, begin, end);
  }
}

template <typename T>
Kernels<T> of_type() {
  return {pool<T>, gather<T>, update<T>, field_pairs<T>, field_pairs_in_chunk<T>, field_pairs_over_chunks<T>};
}

}  // namespace

AllKernels kernels() { return {of_type<float>(), of_type<double>()}; }

}  // namespace SKFM_SET
}  // namespace skfm
