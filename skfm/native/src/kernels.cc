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
          ask_for(p.table + p.slots.touched[position[s + kAheadSlots]] * p.width, p.width);
        }
        const int64_t id = p.slots.touched[position[s]];
        const auto row = Lanes<T, W>::load(p.table + id * p.width + offset);
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
  constexpr int n_states = kSolver == kFtrl ? 4 : kSolver == kAdam ? 2 : 1;
  for (int l = 0; l < N; ++l) w[l] = n.w[l];
  for (int i = 0; i < n_states; ++i) {
    for (int l = 0; l < N; ++l) s[i][l] = n.state[i][l];
  }
#pragma omp simd
  for (int l = 0; l < N; ++l) {
    const T g = n.gradient[l] * factor;
    const T l1 = n.charge_l1 * n.lanes_l1[l] * charged, l2 = n.charge_l2 * n.lanes_l2[l] * charged;
    if constexpr (kSolver == kAdaGrad) {
      s[0][l] += g * g;
      const T size = rate / std::sqrt(s[0][l]);
      w[l] = proximal(w[l] - size * g, size, l1, l2);
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
  for (int i = 0; i < n_states; ++i) {
    for (int l = 0; l < N; ++l) n.state[i][l] = s[i][l];
  }
}

template <Solver kSolver, typename T>
void step_numbers(const Numbers<T>& n, int64_t size) {
  int64_t l = 0;
  for (; l + 16 <= size; l += 16) step<kSolver, 16>(n.at(l));
  if (size & 8) step<kSolver, 8>(n.at(l)), l += 8;
  if (size & 4) step<kSolver, 4>(n.at(l)), l += 4;
  if (size & 2) step<kSolver, 2>(n.at(l)), l += 2;
  if (size & 1) step<kSolver, 1>(n.at(l));
}

}  // namespace

template <typename T>
void update_row(const Update<T>& u, int64_t r, const T* gradient) {
  const int64_t id = u.slots.touched[r];
  T* row = u.table + id * u.width;
  const T* charge = u.charge + r * u.n_charges;
  for (int i = 0; i < u.n_segments; ++i) {
    const auto& s = u.segments[i];
    const int64_t size = s.end - s.begin;
    Numbers<T> n{row + s.begin, gradient + s.begin, {}, u.lanes_l1 + s.begin, u.lanes_l2 + s.begin,
                 charge[0],     charge[u.n_charges - 1], s.numbers};
    for (int j = 0; j < kMostStates; ++j) n.state[j] = s.states[j] ? s.states[j] + id * size : nullptr;
    switch (s.solver) {
      case kSgd:
        step_numbers<kSgd>(n, size);
        break;
      case kAdaGrad:
        step_numbers<kAdaGrad>(n, size);
        break;
      case kAdam:
        step_numbers<kAdam>(n, size);
        break;
      case kFtrl:
        step_numbers<kFtrl>(n, size);
        break;
    }
  }
}

template void update_row(const Update<float>&, int64_t, const float*);
template void update_row(const Update<double>&, int64_t, const double*);

namespace {

template <typename T>
struct RowGradient {
  const Update<T>& u;
  Divisor slots;
  int64_t first, last;
  T* out;

  template <int W>
  SKFM_INLINE void run(int64_t offset) {
    auto sum = Lanes<T, W>::zero();
    for (int64_t i = first; i < last; ++i) {
      const int32_t slot = u.order[i];
      if (!u.pooled) {
        sum.add(Lanes<T, W>::load(u.gradient + slot * u.width + offset));
      } else {
        const auto of_row = Lanes<T, W>::load(u.gradient + slots.divide(slot) * u.width + offset);
        if (u.slots.values) {
          sum.add_times(of_row, u.slots.values[slot]);
        } else {
          sum.add(of_row);
        }
      }
    }
    sum.store(out + offset);
  }
};

template <typename T>
void update(const Update<T>& u, int64_t begin, int64_t end) {
  const Divisor slots(static_cast<uint32_t>(u.slots.n_slots));
  std::vector<T> scratch(u.width);
  T* gradient = scratch.data();
  for (int64_t r = begin; r < end; ++r) {
    if (r + kAhead < end) ask_for_row(u, r + kAhead);
    if (!is_charged(u, r)) continue;
    const T* row = u.table + int64_t(u.slots.touched[r]) * u.width;
    const int64_t first = u.starts[r], last = u.starts[r + 1];
    each_block(u.width, RowGradient<T>{u, slots, first, last, gradient});
    if (u.pooled && u.n_vectors) {
      for (int64_t v = 0; v < u.n_vectors; ++v) {
        T norm = 0;
        for (int64_t i = first; i < last; ++i) {
          const int32_t slot = u.order[i];
          const T x = u.slots.values ? u.slots.values[slot] : T(1);
          norm += u.gradient_norms[slots.divide(slot) * u.n_vectors + v] * (x * x);
        }
        for (int64_t l = u.spans[2 * v]; l < u.spans[2 * v + 1]; ++l) gradient[l] += 2 * norm * row[l];
      }
    }
    update_row(u, r, gradient);
  }
}

template <typename T>
Kernels<T> of_type() {
  return {pool<T>,        gather<T>,
          update<T>,      field_pairs<T>,
          field_pairs_in_chunk<T>, field_pairs_over_chunks<T>};
}

}  // namespace

AllKernels kernels() { return {of_type<float>(), of_type<double>()}; }

}  // namespace SKFM_SET
}  // namespace skfm
