// Sums over the entries of sparse rows. Compiled once for each instruction set, named SKFM_SET.

#include "ahead.h"
#include "lanes.h"
#include "rows.h"

namespace skfm {
namespace SKFM_SET {
namespace {

// Entries ahead of which memory is asked for.
constexpr int64_t kAhead = 64;

template <typename T, typename D>
struct SumBlock {
  const Rows& r;
  bool in_range;

  SKFM_INLINE const T* row_of(int64_t entry, int64_t offset) const {
    const int64_t column = r.columns[entry];
    return static_cast<const T*>(r.table) + (r.ids ? r.ids[column] : column) * r.stride + offset;
  }

  SKFM_INLINE T value_of(int64_t entry) {
    double x = static_cast<const D*>(r.values)[entry];
    if (r.scale) {
      const int64_t column = r.columns[entry];
      x = (r.center ? x - r.center[column] : x) / r.scale[column];
    }
    in_range &= std::abs(x) <= r.largest;
    return static_cast<T>(x);
  }

  template <int W>
  void run(int64_t offset) {
    const int64_t n_entries = r.starts[r.n_rows];
    for (int64_t b = 0; b < r.n_rows; ++b) {
      auto sum = Lanes<T, W>::zero(), squares = Lanes<T, W>::zero();
      for (int64_t entry = r.starts[b]; entry < r.starts[b + 1]; ++entry) {
        if (entry + kAhead < n_entries) ask_for<Need::kToRead>(row_of(entry + kAhead, offset), W);
        auto row = Lanes<T, W>::load(row_of(entry, offset));
        row.multiply(value_of(entry));
        sum.add(row);
        squares.add_squares_times(row, T(1));
      }
      T all[W], of_squares[W];
      sum.store(all);
      squares.store(of_squares);
      const int64_t at = b * r.width + offset;
      T *sums = static_cast<T*>(r.sums) + at, *pairs = static_cast<T*>(r.pairs) + at;
      for (int l = 0; l < W; ++l) {
        sums[l] = all[l];
        pairs[l] = T(0.5) * (all[l] * all[l] - of_squares[l]);
      }
    }
  }
};

template <typename T, typename D>
bool sums_of(const Rows& rows) {
  SumBlock<T, D> block{rows, true};
  each_block(rows.width, block);
  return block.in_range;
}

}  // namespace

bool sums(const Rows& rows) {
  if (rows.table_double) {
    return rows.values_double ? sums_of<double, double>(rows) : sums_of<double, float>(rows);
  }
  return rows.values_double ? sums_of<float, double>(rows) : sums_of<float, float>(rows);
}

}  // namespace SKFM_SET
}  // namespace skfm
