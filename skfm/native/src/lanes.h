// Numbers of a row side by side, in vectors whose widths the compiler knows.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace skfm {

#define SKFM_INLINE inline __attribute__((always_inline))

// One vector of N numbers; the compiler takes as many registers as it needs.
template <typename T, int N>
struct Pack {
  typedef T Vector __attribute__((vector_size(N * sizeof(T))));
  Vector v;

  static SKFM_INLINE Pack load(const T* p) {
    Pack out;
    std::memcpy(&out.v, p, sizeof(Vector));
    return out;
  }
  static SKFM_INLINE Pack zero() {
    Pack out;
    std::memset(&out.v, 0, sizeof(Vector));
    return out;
  }
  SKFM_INLINE void store(T* p) const { std::memcpy(p, &v, sizeof(Vector)); }
};

template <typename T>
struct Pack<T, 1> {
  T v;
  static SKFM_INLINE Pack load(const T* p) { return {*p}; }
  static SKFM_INLINE Pack zero() { return {0}; }
  SKFM_INLINE void store(T* p) const { *p = v; }
};

template <int W>
constexpr int first_width() {
  return W >= 16 ? 16 : W >= 8 ? 8 : W >= 4 ? 4 : W >= 2 ? 2 : W;
}

// W numbers as packs of 16, 8, 4, 2 and 1; one of each but the first.
template <typename T, int W, bool = (W > first_width<W>())>
struct Lanes {
  static constexpr int kFirst = first_width<W>();
  Pack<T, kFirst> head;
  Lanes<T, W - kFirst> tail;

  static SKFM_INLINE Lanes load(const T* p) {
    return {Pack<T, kFirst>::load(p), Lanes<T, W - kFirst>::load(p + kFirst)};
  }
  static SKFM_INLINE Lanes zero() { return {Pack<T, kFirst>::zero(), Lanes<T, W - kFirst>::zero()}; }
  SKFM_INLINE void store(T* p) const {
    head.store(p);
    tail.store(p + kFirst);
  }
  SKFM_INLINE void add(const Lanes& o) {
    head.v += o.head.v;
    tail.add(o.tail);
  }
  SKFM_INLINE void add_product(const Lanes& a, const Lanes& b) {
    head.v += a.head.v * b.head.v;
    tail.add_product(a.tail, b.tail);
  }
  SKFM_INLINE void multiply(T x) {
    head.v *= x;
    tail.multiply(x);
  }
  SKFM_INLINE void add_times(const Lanes& o, T x) {
    head.v += o.head.v * x;
    tail.add_times(o.tail, x);
  }
  SKFM_INLINE void add_squares_times(const Lanes& o, T x) {
    head.v += o.head.v * o.head.v * x;
    tail.add_squares_times(o.tail, x);
  }
  SKFM_INLINE T total() const {
    T all[W], sum = 0;
    store(all);
    for (const T number : all) sum += number;
    return sum;
  }
  SKFM_INLINE void add_product_times(const Lanes& a, const Lanes& b, T x) {
    head.v += a.head.v * b.head.v * x;
    tail.add_product_times(a.tail, b.tail, x);
  }
};

template <typename T, int W>
struct Lanes<T, W, false> {
  Pack<T, W> head;

  static SKFM_INLINE Lanes load(const T* p) { return {Pack<T, W>::load(p)}; }
  static SKFM_INLINE Lanes zero() { return {Pack<T, W>::zero()}; }
  SKFM_INLINE void store(T* p) const { head.store(p); }
  SKFM_INLINE void add(const Lanes& o) { head.v += o.head.v; }
  SKFM_INLINE void multiply(T x) { head.v *= x; }
  SKFM_INLINE void add_times(const Lanes& o, T x) { head.v += o.head.v * x; }
  SKFM_INLINE void add_product(const Lanes& a, const Lanes& b) { head.v += a.head.v * b.head.v; }
  SKFM_INLINE void add_squares_times(const Lanes& o, T x) { head.v += o.head.v * o.head.v * x; }
  SKFM_INLINE T total() const {
    T all[W], sum = 0;
    store(all);
    for (const T number : all) sum += number;
    return sum;
  }
  SKFM_INLINE void add_product_times(const Lanes& a, const Lanes& b, T x) {
    head.v += a.head.v * b.head.v * x;
  }
};

// Calls `f.run<W>(offset)` for blocks of W numbers that make up a row.
template <int W, typename F>
SKFM_INLINE void last_block(int64_t rest, int64_t offset, F&& f) {
  if constexpr (W > 0) {
    if (rest == W) {
      f.template run<W>(offset);
    } else {
      last_block<W - 1>(rest, offset, f);
    }
  }
}

template <typename F>
void each_block(int64_t width, F&& f) {
  if (width == 17) {
    f.template run<17>(0);
    return;
  }
  if (width == 33) {
    f.template run<33>(0);
    return;
  }
  int64_t offset = 0;
  for (; width - offset > 16; offset += 16) f.template run<16>(offset);
  last_block<16>(width - offset, offset, f);
}

// Asks for the cache lines of n numbers.
template <typename T, int kToWrite = 1>
SKFM_INLINE void ask_for(const T* p, int64_t n) {
  const char* end = reinterpret_cast<const char*>(p + n) - 1;
  for (const char* at = reinterpret_cast<const char*>(p); at < end; at += 64) __builtin_prefetch(at, kToWrite);
  __builtin_prefetch(end, kToWrite);
}

}  // namespace skfm
