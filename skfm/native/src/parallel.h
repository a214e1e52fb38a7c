// Ranges of work on the threads of XLA's pool.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "sanitizer.h"
#include "xla.h"

namespace skfm {

// Calls f(0), .., f(n - 1), each once, some of them in other threads. The caller works too and takes whatever
// is left: where the pool is busy it does all, and it waits only for what has begun.
template <typename F>
void parallel(xla::ffi::ThreadPool& pool, int64_t n, const F& f) {
  struct Shared {
    std::atomic<int64_t> next{0};
    int64_t n, n_done = 0;
    const F* f;
    std::mutex mutex;
    std::condition_variable all_done;

    void work() {
      SKFM_COMES_AFTER(this);
      int64_t done = 0;
      for (int64_t i; (i = next.fetch_add(1)) < n; ++done) (*f)(i);
      if (!done) return;
      std::lock_guard<std::mutex> lock(mutex);
      n_done += done;
      if (n_done == n) all_done.notify_one();
    }
  };
  if (n <= 0) return;
  SKFM_COMES_AFTER(&order_of_calls);
  const int64_t helpers = std::min<int64_t>(n, pool.num_threads()) - 1;
  if (helpers <= 0) {
    for (int64_t i = 0; i < n; ++i) f(i);
    SKFM_COMES_BEFORE(&order_of_calls);
    return;
  }
  auto shared = std::make_shared<Shared>();
  shared->n = n;
  shared->f = &f;
  SKFM_COMES_BEFORE(shared.get());
  for (int64_t i = 0; i < helpers; ++i) pool.Schedule([shared] { shared->work(); });
  shared->work();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all_done.wait(lock, [&] { return shared->n_done == n; });
  SKFM_COMES_BEFORE(&order_of_calls);
}

}  // namespace skfm
