// What the thread sanitizer is told, as it does not see into XLA: what XLA puts in order.
#pragma once

#if defined(SKFM_THREAD_SANITIZER)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#define SKFM_COMES_AFTER(what) __tsan_acquire(what)
#define SKFM_COMES_BEFORE(what) __tsan_release(what)
#else
#define SKFM_COMES_AFTER(what)
#define SKFM_COMES_BEFORE(what)
#endif

namespace skfm {

// A call of XLA's comes after those whose results it is given, and one of Python's after XLA's.
inline char order_of_calls;

}  // namespace skfm
