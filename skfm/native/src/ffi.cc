// The handlers that XLA calls. Arrays of all batches come whole, with the number of the batch: a slice of
// them would be a copy.

#include <algorithm>
#include <vector>

#include "export.h"
#include "kernels.h"
#include "machine.h"
#include "pairs.h"
#include "parallel.h"

namespace ffi = xla::ffi;

namespace skfm {
namespace {

// Numbers below which other threads do not pay.
constexpr int64_t kFew = 1 << 17;
// Ranges for each thread: they take different times.
constexpr int64_t kRanges = 16;

const AllKernels& best() {
  static const AllKernels found = SKFM_BEST(kernels)();
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
                  sums->dimensions()[1],
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
  return (table.element_type() == ffi::F64 ? pool_of<double> : pool_of<float>)(pool, number, table, touched,
                                                                               position, values, spans, sums,
                                                                               norms);
}

template <typename T>
ffi::Error gather_of(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer table,
                     ffi::AnyBuffer touched, ffi::AnyBuffer position, ffi::Result<ffi::AnyBuffer> rows) {
  const Batch batch = batch_of(number, touched, position);
  const int64_t size = batch.n_rows * batch.n_slots;
  const Gather<T> g{
      {batch.n_rows, batch.n_slots, touched.typed_data<int32_t>() + batch.number * batch.n_touched,
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
  return (table.element_type() == ffi::F64 ? gather_of<double> : gather_of<float>)(pool, number, table,
                                                                                   touched, position, rows);
}

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
FieldPairs<T> field_pairs_of_batch(const Batch& batch, const ffi::AnyBuffer& table,
                                   const ffi::AnyBuffer& touched, const ffi::AnyBuffer& position,
                                   const ffi::AnyBuffer& values, const ffi::AnyBuffer& fields, int64_t start,
                                   int64_t n_outputs, int64_t n_fields) {
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
  return (table.element_type() == ffi::F64 ? field_pairs_of<double>
                                           : field_pairs_of<float>)(pool, number, table, touched, position,
                                                                    values, fields, sums, pairs, n_fields);
}

// Chunks of rows in which gradients of pairs of fields are added up; as many threads can work.
constexpr int64_t kChunks = 8, kRowsOfChunk = 32;

// Numbers the touched rows that several slots touch, chunk by chunk, until there are more than `most`.
template <typename T>
bool find_places(const FieldPairsUpdate<T>& f, int64_t most, int32_t* places, int32_t* ends) {
  const Slots<T>& slots = f.pairs.slots;
  int32_t n = 0;
  std::fill(places, places + f.n_chunks * f.n_touched, -1);
  for (int64_t chunk = 0; chunk < f.n_chunks; ++chunk) {
    const int64_t begin = chunk * f.rows_of_chunk, end = std::min(slots.n_rows, begin + f.rows_of_chunk);
    int32_t* of_chunk = places + chunk * f.n_touched;
    for (int64_t i = begin * slots.n_slots; i < end * slots.n_slots; ++i) {
      const int32_t r = slots.position[i];
      if (of_chunk[r] < 0 && is_charged(f.update, r) && !f.is_alone(r)) of_chunk[r] = n++;
    }
    ends[chunk] = n;
  }
  return n <= most;
}

template <typename T>
void update_by_field_pairs(ffi::ThreadPool& pool, FieldPairsUpdate<T>& f, int64_t n_kept) {
  const int64_t n_rows = f.pairs.slots.n_rows;
  std::vector<int32_t> places, ends(kChunks);
  // With one chunk they are no more than the touched rows. Chunks do not depend on the number of threads.
  for (f.n_chunks = std::clamp<int64_t>(n_rows / kRowsOfChunk, 1, kChunks);; f.n_chunks /= 2) {
    f.rows_of_chunk = (n_rows + f.n_chunks - 1) / f.n_chunks;
    places.resize(f.n_chunks * f.n_touched);
    if (find_places(f, n_kept, places.data(), ends.data())) break;
  }
  f.places = places.data();
  f.ends = ends.data();
  const auto& kernels = kernels_of<T>();
  parallel(pool, f.n_chunks, [&](int64_t chunk) { kernels.field_pairs_in_chunk(f, chunk); });
  in_ranges(pool, f.n_touched, f.n_touched * f.pairs.width,
            [&](int64_t begin, int64_t end) { kernels.field_pairs_over_chunks(f, begin, end); });
}

struct UpdateArgs {
  ffi::AnyBuffer number, touched, position, values, fields, starts, order, charge, spans, lanes_l1, lanes_l2,
      gradient, gradient_norms, numbers;
};

template <typename T>
ffi::Error update_of(ffi::ThreadPool& pool, const UpdateArgs& a, ffi::RemainingRets& rets,
                     ffi::Span<const int32_t> solvers, ffi::Span<const int32_t> ends, int64_t n_fields) {
  const Batch batch = batch_of(a.number, a.touched, a.position);
  // Room for gradients, the table, and its states unless they are joined with it.
  auto kept = rets.get<ffi::AnyBuffer>(0), table = rets.get<ffi::AnyBuffer>(1);
  if (kept.has_error()) return kept.error();
  if (table.has_error()) return table.error();
  Update<T> u{};
  u.slots = slots_of<T>(batch, a.touched, a.position, a.values);
  u.table = (*table)->typed_data<T>();
  u.stride = (*table)->dimensions()[1];
  u.joined = rets.size() == 2;
  u.pooled = a.gradient.dimensions().size() == 2;
  u.n_vectors = u.pooled ? a.gradient_norms.dimensions()[1] : 0;
  u.n_charges = a.charge.dimensions()[2];
  u.spans = a.spans.typed_data<int32_t>();
  u.starts = a.starts.typed_data<int32_t>() + batch.number * (batch.n_touched + 1);
  u.order = a.order.typed_data<int32_t>() + batch.number * batch.n_rows * batch.n_slots;
  u.charge = a.charge.typed_data<T>() + batch.number * batch.n_touched * u.n_charges;
  u.lanes_l1 = a.lanes_l1.typed_data<T>();
  u.lanes_l2 = a.lanes_l2.typed_data<T>();
  u.gradient = a.gradient.typed_data<T>();
  u.gradient_norms = a.gradient_norms.typed_data<T>();
  u.n_segments = static_cast<int>(solvers.size());
  if (u.n_segments > kMostSegments) return ffi::Error::InvalidArgument("too many segments");
  u.width = ends[u.n_segments - 1];
  size_t next = 2;
  T* joined = u.table + u.width;
  for (int i = 0; i < u.n_segments; ++i) {
    auto& s = u.segments[i];
    s.solver = static_cast<Solver>(solvers[i]);
    s.begin = i ? ends[i - 1] : 0;
    s.end = ends[i];
    s.stride = u.joined ? u.stride : s.end - s.begin;
    s.numbers = a.numbers.typed_data<T>() + i * kNumbers;
    for (int j = 0; j < n_states(s.solver); ++j) {
      if (u.joined) {
        s.states[j] = joined;
        joined += s.end - s.begin;
        continue;
      }
      auto found = rets.get<ffi::AnyBuffer>(next++);
      if (found.has_error()) return found.error();
      s.states[j] = (*found)->typed_data<T>();
    }
  }
  if (joined > u.table + u.stride)
    return ffi::Error::InvalidArgument("no room for the states of the solvers");
  if (n_fields) {
    FieldPairsUpdate<T> f{};
    f.pairs = field_pairs_of_batch<T>(batch, **table, a.touched, a.position, a.values, a.fields,
                                      a.gradient.dimensions()[1], a.gradient_norms.dimensions()[1], n_fields);
    f.update = u;
    f.of_sums = u.gradient;
    f.of_pairs = u.gradient_norms;
    f.n_touched = batch.n_touched;
    f.kept = (*kept)->typed_data<T>();
    f.stride = (*kept)->dimensions()[1];
    update_by_field_pairs(pool, f, (*kept)->dimensions()[0]);
    return ffi::Error::Success();
  }
  in_even_ranges(pool, u.starts, batch.n_touched, u.width,
                 [&](int64_t begin, int64_t end) { kernels_of<T>().update(u, begin, end); });
  return ffi::Error::Success();
}

ffi::Error update_any(ffi::ThreadPool pool, ffi::AnyBuffer number, ffi::AnyBuffer touched,
                      ffi::AnyBuffer position, ffi::AnyBuffer values, ffi::AnyBuffer fields,
                      ffi::AnyBuffer starts, ffi::AnyBuffer order, ffi::AnyBuffer charge,
                      ffi::AnyBuffer spans, ffi::AnyBuffer lanes_l1, ffi::AnyBuffer lanes_l2,
                      ffi::AnyBuffer gradient, ffi::AnyBuffer gradient_norms, ffi::AnyBuffer numbers,
                      ffi::RemainingArgs, ffi::RemainingRets rets, ffi::Span<const int32_t> solvers,
                      ffi::Span<const int32_t> ends, int64_t n_fields) {
  const UpdateArgs a{number, touched, position, values,   fields,   starts,         order,
                     charge, spans,   lanes_l1, lanes_l2, gradient, gradient_norms, numbers};
  return (gradient.element_type() == ffi::F64 ? update_of<double> : update_of<float>)(pool, a, rets, solvers,
                                                                                      ends, n_fields);
}

}  // namespace
}  // namespace skfm

extern "C" {
SKFM_EXPORT XLA_FFI_Error* skfm_pool(XLA_FFI_CallFrame*);
SKFM_EXPORT XLA_FFI_Error* skfm_gather(XLA_FFI_CallFrame*);
SKFM_EXPORT XLA_FFI_Error* skfm_update(XLA_FFI_CallFrame*);
SKFM_EXPORT XLA_FFI_Error* skfm_field_pairs(XLA_FFI_CallFrame*);
}

namespace {

// The pool of threads, and n arrays.
template <int n>
auto taking() {
  if constexpr (n == 0) {
    return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>();
  } else {
    return taking<n - 1>().template Arg<ffi::AnyBuffer>();
  }
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(skfm_pool, skfm::pool_any,
                              taking<6>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(skfm_gather, skfm::gather_any, taking<4>().Ret<ffi::AnyBuffer>());

// The last arrays are the table and its states, which become results.
XLA_FFI_DEFINE_HANDLER_SYMBOL(skfm_update, skfm::update_any,
                              taking<14>()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<ffi::Span<const int32_t>>("solvers")
                                  .Attr<ffi::Span<const int32_t>>("ends")
                                  .Attr<int64_t>("n_fields"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    skfm_field_pairs, skfm::field_pairs_any,
    taking<6>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>().Attr<int64_t>("n_fields"));
