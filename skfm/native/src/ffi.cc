// The handlers that XLA calls. Arrays of all batches come whole, with the number of the batch: a slice of them
// would be a copy.

#include <string_view>

#include "kernels.h"
#include "pairs.h"
#include "parallel.h"

namespace ffi = xla::ffi;

namespace skfm {
namespace {

// Numbers below which other threads do not pay.
constexpr int64_t kFew = 1 << 14;
// Ranges for each thread: they take different times.
constexpr int64_t kRanges = 4;

const AllKernels& best() {
  static const AllKernels found = [] {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
      return avx512::kernels();
    }
    if (has_avx2) return avx2::kernels();
#endif
    return plain::kernels();
  }();
  return found;
}

template <typename T>
const Kernels<T>& kernels_of();
template <>
const Kernels<float>& kernels_of<float>() {
  return best().of_float;
}
template <>
const Kernels<double>& kernels_of<double>() {
  return best().of_double;
}

// The arrays of one batch.
struct Batch {
  int64_t number, n_rows, n_slots, n_touched;
};

Batch batch_of(const ffi::AnyBuffer& number, const ffi::AnyBuffer& touched, const ffi::AnyBuffer& position) {
  return {number.typed_data<int32_t>()[0], position.dimensions()[1], position.dimensions()[2],
          touched.dimensions()[1]};
}

template <typename T>
Slots<T> slots_of(const Batch& batch, const ffi::AnyBuffer& touched, const ffi::AnyBuffer& position,
                  const ffi::AnyBuffer& values) {
  const int64_t size = batch.n_rows * batch.n_slots;
  return {batch.n_rows, batch.n_slots, touched.typed_data<int32_t>() + batch.number * batch.n_touched,
          position.typed_data<int32_t>() + batch.number * size,
          values.element_count() ? values.typed_data<T>() + batch.number * size : nullptr};
}

// [begin, end) ranges of n, all but the last of one size.
template <typename F>
void in_ranges(ffi::ThreadPool& pool, int64_t n, int64_t numbers, const F& f) {
  const int64_t wanted = numbers < kFew ? 1 : pool.num_threads() * kRanges;
  const int64_t size = (n + wanted - 1) / std::max<int64_t>(wanted, 1);
  if (!n) return;
  parallel(pool, (n + size - 1) / size, [&](int64_t i) { f(i * size, std::min(n, (i + 1) * size)); });
}

template <typename T>
ffi::Error pool_of(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer table, ffi::AnyBuffer touched,
                   ffi::AnyBuffer position, ffi::AnyBuffer values, ffi::AnyBuffer spans,
                   ffi::Result<ffi::AnyBuffer> sums, ffi::Result<ffi::AnyBuffer> norms) {
  const Batch batch = batch_of(number, touched, position);
  const Pool<T> p{slots_of<T>(batch, touched, position, values),
                  table.typed_data<T>(),
                  table.dimensions()[1],
                  norms->dimensions()[1],
                  spans.typed_data<int32_t>(),
                  sums->typed_data<T>(),
                  norms->typed_data<T>()};
  in_ranges(pool, batch.n_rows, batch.n_rows * batch.n_slots * p.width,
            [&](int64_t begin, int64_t end) { kernels_of<T>().pool(p, begin, end); });
  return ffi::Error::Success();
}

ffi::Error pool_any(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer table, ffi::AnyBuffer touched,
                    ffi::AnyBuffer position, ffi::AnyBuffer values, ffi::AnyBuffer spans,
                    ffi::Result<ffi::AnyBuffer> sums, ffi::Result<ffi::AnyBuffer> norms) {
  return (table.element_type() == ffi::F64 ? pool_of<double> : pool_of<float>)(
      pool, number, table, touched, position, values, spans, sums, norms);
}

template <typename T>
ffi::Error gather_of(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer table,
                     ffi::AnyBuffer touched, ffi::AnyBuffer position, ffi::Result<ffi::AnyBuffer> rows) {
  const Batch batch = batch_of(number, touched, position);
  const int64_t size = batch.n_rows * batch.n_slots;
  const Gather<T> g{{batch.n_rows, batch.n_slots, touched.typed_data<int32_t>() + batch.number * batch.n_touched,
                     position.typed_data<int32_t>() + batch.number * size, nullptr},
                    table.typed_data<T>(),
                    table.dimensions()[1],
                    rows->typed_data<T>()};
  in_ranges(pool, batch.n_rows, size * g.width,
            [&](int64_t begin, int64_t end) { kernels_of<T>().gather(g, begin, end); });
  return ffi::Error::Success();
}

ffi::Error gather_any(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer table,
                      ffi::AnyBuffer touched, ffi::AnyBuffer position, ffi::Result<ffi::AnyBuffer> rows) {
  return (table.element_type() == ffi::F64 ? gather_of<double> : gather_of<float>)(pool, number, table, touched,
                                                                                 position, rows);
}

int n_states(Solver solver) { return solver == kFtrl ? 4 : solver == kAdam ? 2 : 1; }

// Touched rows whose slots are about as many in each range.
template <typename F>
void in_even_ranges(ffi::ThreadPool& pool, const int32_t* starts, int64_t n, int64_t width, const F& f) {
  const auto work = [&](int64_t r) { return starts[r] + r; };
  const int64_t all = work(n);
  const int64_t wanted = all * width < kFew ? 1 : pool.num_threads() * kRanges;
  parallel(pool, wanted, [&](int64_t i) {
    const auto border = [&](int64_t number) {
      int64_t low = 0, high = n;
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (work(middle) * wanted < all * number) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      return low;
    };
    const int64_t begin = border(i), end = i + 1 == wanted ? n : border(i + 1);
    if (begin < end) f(begin, end);
  });
}

template <typename T>
FieldPairs<T> field_pairs_of_batch(const Batch& batch, const ffi::AnyBuffer& table, const ffi::AnyBuffer& touched,
                                   const ffi::AnyBuffer& position, const ffi::AnyBuffer& values,
                                   const ffi::AnyBuffer& fields, int64_t start, int64_t n_outputs,
                                   int64_t n_fields) {
  FieldPairs<T> p{};
  p.slots = slots_of<T>(batch, touched, position, values);
  if (fields.element_count()) {
    p.fields = fields.typed_data<int32_t>() + batch.number * batch.n_rows * batch.n_slots;
  }
  p.table = table.typed_data<T>();
  p.width = table.dimensions()[1];
  p.start = start;
  p.n_outputs = n_outputs;
  p.n_fields = n_fields;
  p.n_factors = (p.width - start) / (n_outputs * n_fields);
  return p;
}

template <typename T>
ffi::Error field_pairs_of(ffi::ThreadPool& pool, ffi::AnyBuffer& number, ffi::AnyBuffer& table,
                          ffi::AnyBuffer& touched, ffi::AnyBuffer& position, ffi::AnyBuffer& values,
                          ffi::AnyBuffer& fields, ffi::Result<ffi::AnyBuffer>& sums,
                          ffi::Result<ffi::AnyBuffer>& pairs, int64_t n_fields) {
  const Batch batch = batch_of(number, touched, position);
  auto p = field_pairs_of_batch<T>(batch, table, touched, position, values, fields, sums->dimensions()[1],
                                   pairs->dimensions()[1], n_fields);
  p.sums = sums->typed_data<T>();
  p.pairs = pairs->typed_data<T>();
  in_ranges(pool, batch.n_rows, batch.n_rows * batch.n_slots * p.width,
            [&](int64_t begin, int64_t end) { kernels_of<T>().field_pairs(p, begin, end); });
  return ffi::Error::Success();
}

ffi::Error field_pairs_any(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer table,
                           ffi::AnyBuffer touched, ffi::AnyBuffer position, ffi::AnyBuffer values,
                           ffi::AnyBuffer fields, ffi::Result<ffi::AnyBuffer> sums,
                           ffi::Result<ffi::AnyBuffer> pairs, int64_t n_fields) {
  return (table.element_type() == ffi::F64 ? field_pairs_of<double> : field_pairs_of<float>)(
      pool, number, table, touched, position, values, fields, sums, pairs, n_fields);
}

struct FieldPairsGradientArgs {
  ffi::AnyBuffer number, table, touched, position, values, fields, starts, order, of_sums, of_pairs;
};

template <typename T>
ffi::Error field_pairs_gradient_of(ffi::ThreadPool& pool, const FieldPairsGradientArgs& a,
                                   ffi::Result<ffi::AnyBuffer>& rows, int64_t n_fields) {
  const Batch batch = batch_of(a.number, a.touched, a.position);
  FieldPairsGradient<T> g{};
  g.pairs = field_pairs_of_batch<T>(batch, a.table, a.touched, a.position, a.values, a.fields,
                                    a.of_sums.dimensions()[1], a.of_pairs.dimensions()[1], n_fields);
  g.starts = a.starts.typed_data<int32_t>() + batch.number * (batch.n_touched + 1);
  g.order = a.order.typed_data<int32_t>() + batch.number * batch.n_rows * batch.n_slots;
  g.of_sums = a.of_sums.typed_data<T>();
  g.of_pairs = a.of_pairs.typed_data<T>();
  g.rows = rows->typed_data<T>();
  in_even_ranges(pool, g.starts, batch.n_touched, g.pairs.width,
                 [&](int64_t begin, int64_t end) { kernels_of<T>().field_pairs_gradient(g, begin, end); });
  return ffi::Error::Success();
}

ffi::Error field_pairs_gradient_any(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer table,
                                    ffi::AnyBuffer touched, ffi::AnyBuffer position, ffi::AnyBuffer values,
                                    ffi::AnyBuffer fields, ffi::AnyBuffer starts, ffi::AnyBuffer order,
                                    ffi::AnyBuffer of_sums, ffi::AnyBuffer of_pairs,
                                    ffi::Result<ffi::AnyBuffer> rows, int64_t n_fields) {
  const FieldPairsGradientArgs a{number, table,  touched, position, values,
                                 fields, starts, order,   of_sums,  of_pairs};
  return (table.element_type() == ffi::F64 ? field_pairs_gradient_of<double> : field_pairs_gradient_of<float>)(
      pool, a, rows, n_fields);
}

struct UpdateArgs {
  ffi::AnyBuffer number, touched, position, values, starts, order, charge, spans, lanes_l1, lanes_l2, gradient,
      gradient_norms, numbers;
};

template <typename T>
ffi::Error update_of(ffi::ThreadPool& pool, const UpdateArgs& a, ffi::RemainingRets& rets,
                     ffi::Span<const int32_t> solvers, ffi::Span<const int32_t> ends) {
  const Batch batch = batch_of(a.number, a.touched, a.position);
  auto table = rets.get<ffi::AnyBuffer>(0);
  if (table.has_error()) return table.error();
  // Else it is that of the touched rows.
  const bool finds_gradient = a.order.element_count();
  Update<T> u{};
  u.slots = slots_of<T>(batch, a.touched, a.position, a.values);
  u.table = (*table)->typed_data<T>();
  u.width = (*table)->dimensions()[1];
  u.pooled = finds_gradient && a.gradient.dimensions().size() == 2;
  u.n_vectors = u.pooled ? a.gradient_norms.dimensions()[1] : 0;
  u.n_charges = a.charge.dimensions()[2];
  u.spans = a.spans.typed_data<int32_t>();
  u.starts = a.starts.typed_data<int32_t>() + batch.number * (batch.n_touched + 1);
  if (finds_gradient) u.order = a.order.typed_data<int32_t>() + batch.number * batch.n_rows * batch.n_slots;
  u.charge = a.charge.typed_data<T>() + batch.number * batch.n_touched * u.n_charges;
  u.lanes_l1 = a.lanes_l1.typed_data<T>();
  u.lanes_l2 = a.lanes_l2.typed_data<T>();
  u.gradient = a.gradient.typed_data<T>();
  u.gradient_norms = a.gradient_norms.typed_data<T>();
  u.n_segments = static_cast<int>(solvers.size());
  if (u.n_segments > kMostSegments) return ffi::Error::InvalidArgument("too many segments");
  size_t state = 1;
  for (int i = 0; i < u.n_segments; ++i) {
    auto& s = u.segments[i];
    s.solver = static_cast<Solver>(solvers[i]);
    s.begin = i ? ends[i - 1] : 0;
    s.end = ends[i];
    s.numbers = a.numbers.typed_data<T>() + i * kNumbers;
    for (int j = 0; j < n_states(s.solver); ++j, ++state) {
      auto found = rets.get<ffi::AnyBuffer>(state);
      if (found.has_error()) return found.error();
      s.states[j] = (*found)->typed_data<T>();
    }
  }
  in_even_ranges(pool, u.starts, batch.n_touched, u.width,
                 [&](int64_t begin, int64_t end) { kernels_of<T>().update(u, begin, end); });
  return ffi::Error::Success();
}

ffi::Error update_any(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer touched,
                      ffi::AnyBuffer position, ffi::AnyBuffer values, ffi::AnyBuffer starts,
                      ffi::AnyBuffer order, ffi::AnyBuffer charge, ffi::AnyBuffer spans,
                      ffi::AnyBuffer lanes_l1, ffi::AnyBuffer lanes_l2, ffi::AnyBuffer gradient,
                      ffi::AnyBuffer gradient_norms, ffi::AnyBuffer numbers, ffi::RemainingArgs,
                      ffi::RemainingRets rets, ffi::Span<const int32_t> solvers,
                      ffi::Span<const int32_t> ends) {
  const UpdateArgs a{number,    touched,  position, values,   starts,   order,         charge,
                     spans, lanes_l1, lanes_l2, gradient, gradient_norms, numbers};
  return (gradient.element_type() == ffi::F64 ? update_of<double> : update_of<float>)(pool, a, rets, solvers, ends);
}

}  // namespace
}  // namespace skfm

extern "C" {
#define SKFM_EXPORT __attribute__((visibility("default")))
SKFM_EXPORT XLA_FFI_Error* skfm_pool(XLA_FFI_CallFrame*);
SKFM_EXPORT XLA_FFI_Error* skfm_gather(XLA_FFI_CallFrame*);
SKFM_EXPORT XLA_FFI_Error* skfm_update(XLA_FFI_CallFrame*);
SKFM_EXPORT XLA_FFI_Error* skfm_field_pairs(XLA_FFI_CallFrame*);
SKFM_EXPORT XLA_FFI_Error* skfm_field_pairs_gradient(XLA_FFI_CallFrame*);
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(skfm_pool, skfm::pool_any,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(skfm_gather, skfm::gather_any,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(skfm_update, skfm::update_any,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<ffi::Span<const int32_t>>("solvers")
                                  .Attr<ffi::Span<const int32_t>>("ends"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(skfm_field_pairs, skfm::field_pairs_any,
                              ffi::Ffi::Bind()
                              .Ctx<ffi::ThreadPool>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Ret<ffi::AnyBuffer>()
                              .Ret<ffi::AnyBuffer>()
                              .Attr<int64_t>("n_fields"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(skfm_field_pairs_gradient, skfm::field_pairs_gradient_any,
                              ffi::Ffi::Bind()
                              .Ctx<ffi::ThreadPool>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Arg<ffi::AnyBuffer>()
                              .Ret<ffi::AnyBuffer>()
                              .Attr<int64_t>("n_fields"));
