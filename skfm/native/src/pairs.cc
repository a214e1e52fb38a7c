// Pairs of fields: `sum_{s<t} x_s x_t <v_{i_s, f_t}, v_{i_t, f_s}>` of each row of the batch, and the update of
// the touched rows of the table. Compiled once for each instruction set, named SKFM_SET.
//
// Slots of one field stand for one: the sum of their rows. Nothing of all slots is kept: each pass gathers anew.

#include "pairs.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "lanes.h"

namespace skfm {
namespace SKFM_SET {

template <typename T>
void update_row(const Update<T>&, int64_t, T*);

namespace {

// Touched rows ahead of which memory is asked for.
constexpr int64_t kAhead = 4;

// Asks for the cache lines of n numbers that are not needed at once: into the second cache.
template <typename T>
SKFM_INLINE void ask_early(const T* p, int64_t n) {
  const char* end = reinterpret_cast<const char*>(p + n) - 1;
  for (const char* at = reinterpret_cast<const char*>(p); at < end; at += 64) __builtin_prefetch(at, 0, 2);
  __builtin_prefetch(end, 0, 2);
}

// The same of a row of the table and its state.
template <typename T>
SKFM_INLINE void ask_early_for_row(const Update<T>& u, int64_t id) {
  ask_early(u.table + id * u.width, u.width);
  for (int i = 0; i < u.n_segments; ++i) {
    const auto& s = u.segments[i];
    for (const T* state : s.states) {
      if (state) ask_early(state + id * (s.end - s.begin), s.end - s.begin);
    }
  }
}

// One row of the batch: the fields that it has.
template <typename T>
class RowFields {
 public:
  struct Field {
    int32_t number;
    int32_t n_slots;
    const T* vectors;  // as in a row of the table
    T times;
  };

  explicit RowFields(const FieldPairs<T>& p) : p_(p), place_(p.n_fields, -1) { fields_.reserve(p.n_fields); }

  const std::vector<Field>& fields() const { return fields_; }

  int32_t field_of(int64_t slot, int64_t s) const {
    return p_.fields ? p_.fields[slot] : p_.n_fields == 1 ? 0 : static_cast<int32_t>(s);
  }

  bool is_known(int32_t field) const { return static_cast<uint32_t>(field) < static_cast<uint32_t>(p_.n_fields); }

  const T* vectors_of(int64_t slot) const {
    return p_.table + p_.slots.touched[p_.slots.position[slot]] * p_.width + p_.start;
  }

  T value_of(int64_t slot) const { return p_.slots.values ? p_.slots.values[slot] : T(1); }

  // Where the field of a slot is in `fields`.
  int32_t place_of(int32_t field) const { return place_[field]; }

  // The row b; of fields with several slots only the vectors for the fields first..last are added up.
  void take(int64_t b, int64_t first, int64_t last) {
    for (const Field& field : fields_) place_[field.number] = -1;
    fields_.clear();
    n_sums_ = 0;
    const int64_t S = p_.slots.n_slots;
    for (int64_t s = 0; s < S; ++s) {
      const int64_t slot = b * S + s;
      const int32_t number = field_of(slot, s);
      if (!is_known(number)) continue;
      if (place_[number] < 0) {
        place_[number] = static_cast<int32_t>(fields_.size());
        fields_.push_back({number, 1, vectors_of(slot), value_of(slot)});
        continue;
      }
      Field& field = fields_[place_[number]];
      const int64_t size = p_.n_outputs * p_.n_fields * p_.n_factors;
      if (field.n_slots == 1) {
        if (sums_.empty()) sums_.resize(std::min(p_.n_fields, S / 2) * size);
        T* sum = sums_.data() + n_sums_++ * size;
        add(sum, field.vectors, field.times, first, last, true);
        field.vectors = sum;
        field.times = 1;
      }
      ++field.n_slots;
      add(const_cast<T*>(field.vectors), vectors_of(slot), value_of(slot), first, last, false);
    }
  }

 private:
  void add(T* sum, const T* vectors, T times, int64_t first, int64_t last, bool is_first) const {
    const int64_t k = p_.n_factors;
    for (int64_t o = 0; o < p_.n_outputs; ++o) {
      const int64_t row = o * p_.n_fields;
#pragma omp simd
      for (int64_t l = (row + first) * k; l < (row + last + 1) * k; ++l) {
        sum[l] = (is_first ? T(0) : sum[l]) + times * vectors[l];
      }
    }
  }

  const FieldPairs<T>& p_;
  std::vector<int32_t> place_;
  std::vector<Field> fields_;
  std::vector<T> sums_;
  int64_t n_sums_ = 0;
};

// The pairs of one output of one row, of the numbers [offset, offset + W) of each vector.
template <typename T>
struct Term {
  const FieldPairs<T>& p;
  const RowFields<T>& row;
  int64_t b, output;
  T total;

  template <int W>
  void run(int64_t offset) {
    using Vector = Lanes<T, W>;
    const auto& fields = row.fields();
    const int64_t n = fields.size(), k = p.n_factors;
    const int64_t at = output * p.n_fields * k + offset;
    auto sum = Vector::zero();
    for (int64_t i = 0; i < n; ++i) {
      const T* own = fields[i].vectors + at;
      const int64_t for_own = at + fields[i].number * k;
      // Four sums, so that one addition need not wait for the other.
      Vector part[4] = {Vector::zero(), Vector::zero(), Vector::zero(), Vector::zero()};
      int64_t j = i + 1;
      const auto meet = [&](Vector& to, const auto& other) {
        const auto of_own = Vector::load(own + other.number * k);
        auto of_other = Vector::load(other.vectors + for_own);
        if (p.slots.values) of_other.multiply(other.times);
        to.add_product(of_own, of_other);
      };
      for (; j + 4 <= n; j += 4) {
        for (int q = 0; q < 4; ++q) meet(part[q], fields[j + q]);
      }
      for (; j < n; ++j) meet(part[0], fields[j]);
      part[0].add(part[1]);
      part[2].add(part[3]);
      part[0].add(part[2]);
      sum.add_times(part[0], fields[i].times);
      if (fields[i].n_slots > 1) {
        auto same = Vector::zero();
        same.add_squares_times(Vector::load(own + fields[i].number * k), T(0.5));
        sum.add(same);
      }
    }
    const int64_t S = p.slots.n_slots;
    for (int64_t s = 0; s < S; ++s) {
      // A slot with itself is no pair.
      const int64_t slot = b * S + s;
      const int32_t number = row.field_of(slot, s);
      if (!row.is_known(number) || fields[row.place_of(number)].n_slots == 1) continue;
      const T x = row.value_of(slot);
      sum.add_squares_times(Vector::load(row.vectors_of(slot) + at + number * k), T(-0.5) * x * x);
    }
    total += sum.total();
  }
};

// Adds to the gradient of the touched row of one slot, or sets it.
template <typename T>
struct SlotGradient {
  const FieldPairs<T>& p;
  const RowFields<T>& row;
  int64_t slot;
  int32_t field;
  int64_t output;
  T factor;
  T* gradient;
  bool sets;

  template <int W>
  void run(int64_t offset) {
    // The usual number of factors is one that the compiler knows.
    if (p.n_factors == W) {
      meet_all<W>(offset, std::integral_constant<int64_t, W>());
    } else {
      meet_all<W>(offset, p.n_factors);
    }
  }

  template <int W, typename K>
  SKFM_INLINE void meet_all(int64_t offset, K k) {
    if (sets) {
      meet<W, true>(offset, k);
    } else {
      meet<W, false>(offset, k);
    }
  }

  template <int W, bool kSets, typename K>
  SKFM_INLINE void meet(int64_t offset, K k) {
    using Vector = Lanes<T, W>;
    const int64_t at = output * p.n_fields * k + offset, for_own = at + field * k;
    const auto* fields = row.fields().data();
    const auto* own = fields + row.place_of(field);
    const auto* end = fields + row.fields().size();
    T* const to = gradient + at;
    const T times = factor;
    const auto others = [=](const auto* first, const auto* last) {
      for (const auto* other = first; other < last; ++other) {
        T* of_other = to + other->number * k;
        auto sum = kSets ? Vector::zero() : Vector::load(of_other);
        sum.add_times(Vector::load(other->vectors + for_own), times * other->times);
        sum.store(of_other);
      }
    };
    others(fields, own);
    others(own + 1, end);
    T* of_own = to + field * k;
    auto sum = kSets ? Vector::zero() : Vector::load(of_own);
    if (own->n_slots > 1) {
      sum.add_times(Vector::load(own->vectors + for_own), times);
      sum.add_times(Vector::load(row.vectors_of(slot) + for_own), -times * row.value_of(slot));
    }
    sum.store(of_own);
  }
};

}  // namespace

template <typename T>
void field_pairs(const FieldPairs<T>& p, int64_t begin, int64_t end) {
  const int64_t S = p.slots.n_slots;
  RowFields<T> row(p);
  for (int64_t b = begin; b < end; ++b) {
    if (b + 1 < end) {
      for (int64_t s = 0; s < S; ++s) ask_early(row.vectors_of((b + 1) * S + s) - p.start, p.width);
    }
    row.take(b, 0, p.n_fields - 1);
    for (int64_t o = 0; o < p.n_outputs; ++o) {
      Term<T> term{p, row, b, o, 0};
      each_block(p.n_factors, term);
      p.pairs[b * p.n_outputs + o] = term.total;
    }
    T* sums = p.sums + b * p.start;
    std::fill(sums, sums + p.start, T(0));
    for (int64_t s = 0; s < S; ++s) {
      const T* first = row.vectors_of(b * S + s) - p.start;
      for (int64_t l = 0; l < p.start; ++l) sums[l] += first[l] * row.value_of(b * S + s);
    }
  }
}

template <typename T>
void field_pairs_in_chunk(const FieldPairsUpdate<T>& f, int64_t chunk) {
  const FieldPairs<T>& p = f.pairs;
  const Update<T>& u = f.update;
  const int64_t S = p.slots.n_slots, n_touched = f.n_touched;
  const int64_t begin = chunk * f.rows_of_chunk, end = std::min(p.slots.n_rows, begin + f.rows_of_chunk);
  const int32_t* places = f.places + chunk * n_touched;
  const int64_t first_place = chunk ? f.ends[chunk - 1] : 0;
  std::vector<char> is_set(f.ends[chunk] - first_place);
  // Gradients of the rows of the table that are updated as soon as none of this row of the batch is needed.
  std::vector<int64_t> alone;
  std::vector<T> of_alone(S * f.stride);
  RowFields<T> row(p);
  for (int64_t b = begin; b < end; ++b) {
    if (b + 1 < end) {
      for (int64_t s = 0; s < S; ++s) {
        const int64_t r = p.slots.position[(b + 1) * S + s];
        if (f.is_alone(r)) {
          ask_early_for_row(u, u.slots.touched[r]);
        } else {
          ask_early(row.vectors_of((b + 1) * S + s) - p.start, p.width);
          if (places[r] >= 0) ask_early(f.kept + places[r] * f.stride, p.width);
        }
      }
    }
    row.take(b, 0, p.n_fields - 1);
    const bool has_all = row.fields().size() == static_cast<size_t>(p.n_fields);
    for (int64_t s = 0; s < S; ++s) {
      const int64_t slot = b * S + s, r = p.slots.position[slot];
      if (!is_charged(u, r)) continue;
      const bool is_alone = f.is_alone(r);
      T* gradient = f.kept + places[r] * f.stride;
      const int32_t field = row.field_of(slot, s);
      bool sets = true;
      if (is_alone) {
        gradient = of_alone.data() + alone.size() * f.stride;
        alone.push_back(r);
      } else {
        char& found = is_set[places[r] - first_place];
        sets = !found;
        found = true;
      }
      if (sets && !(has_all && row.is_known(field))) {
        std::fill(gradient, gradient + p.width, T(0));
        sets = false;
      }
      const T x = row.value_of(slot);
      for (int64_t l = 0; l < p.start; ++l) {
        gradient[l] = (sets ? T(0) : gradient[l]) + f.of_sums[b * p.start + l] * x;
      }
      if (row.is_known(field)) {
        for (int64_t o = 0; o < p.n_outputs; ++o) {
          const T factor = f.of_pairs[b * p.n_outputs + o] * x;
          each_block(p.n_factors, SlotGradient<T>{p, row, slot, field, o, factor, gradient + p.start, sets});
        }
      }
    }
    for (size_t i = 0; i < alone.size(); ++i) update_row(u, alone[i], of_alone.data() + i * f.stride);
    alone.clear();
  }
}

template <typename T>
void field_pairs_over_chunks(const FieldPairsUpdate<T>& f, int64_t begin, int64_t end) {
  const Update<T>& u = f.update;
  std::vector<T> sum(u.width);
  const auto is_due = [&](int64_t r) { return is_charged(u, r) && !f.is_alone(r); };
  for (int64_t r = begin; r < end; ++r) {
    if (r + kAhead < end && is_due(r + kAhead)) {
      ask_early_for_row(u, u.slots.touched[r + kAhead]);
      for (int64_t chunk = 0; chunk < f.n_chunks; ++chunk) {
        const int32_t place = f.places[chunk * f.n_touched + r + kAhead];
        if (place >= 0) ask_early(f.kept + place * f.stride, u.width);
      }
    }
    if (!is_due(r)) continue;
    std::fill(sum.begin(), sum.end(), T(0));
    for (int64_t chunk = 0; chunk < f.n_chunks; ++chunk) {
      const int32_t place = f.places[chunk * f.n_touched + r];
      if (place < 0) continue;
      const T* part = f.kept + place * f.stride;
#pragma omp simd
      for (int64_t l = 0; l < u.width; ++l) sum[l] += part[l];
    }
    update_row(u, r, sum.data());
  }
}

template void field_pairs(const FieldPairs<float>&, int64_t, int64_t);
template void field_pairs(const FieldPairs<double>&, int64_t, int64_t);
template void field_pairs_in_chunk(const FieldPairsUpdate<float>&, int64_t);
template void field_pairs_in_chunk(const FieldPairsUpdate<double>&, int64_t);
template void field_pairs_over_chunks(const FieldPairsUpdate<float>&, int64_t, int64_t);
template void field_pairs_over_chunks(const FieldPairsUpdate<double>&, int64_t, int64_t);

}  // namespace SKFM_SET
}  // namespace skfm
