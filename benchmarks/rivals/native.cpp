// What a CPU can do: a factorization machine by AdaGrad, and the roofline of the machine under it.
//
// A sample reads and writes a row of the table for each of its columns, at ids that no hardware prefetcher
// foresees. So all that a column needs lies in one row, which starts at a cache line, and the rows of a
// sample to come are asked for in advance: one before each step of the sample at hand, since a burst of
// requests would wait for the few that a core can have under way.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <thread>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

constexpr int64_t line = 16;           // floats of a cache line
constexpr int64_t ahead = 4;           // samples between the request of rows and their use
constexpr int max_factors = 512;       // for a number of factors that is no template parameter
constexpr size_t huge_page = 1 << 21;  // bytes

struct Free {
    void operator()(float *block) const { ::operator delete[](block, std::align_val_t(huge_page)); }
};
using Block = std::unique_ptr<float[], Free>;

// Aligned floats, on huge pages where Linux has some: random rows else miss the address cache too.
Block allocate(int64_t n) {
    auto *block = static_cast<float *>(::operator new[](n * sizeof(float), std::align_val_t(huge_page)));
#if defined(__linux__)
    madvise(block, n * sizeof(float), MADV_HUGEPAGE);
#endif
    return Block(block);
}

// Seconds of work(thread, begin, end) over n items, a stretch of them a thread.
template <class Work> double in_parallel(int n_threads, int64_t n, Work work) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int t = 0; t < n_threads; ++t)
        threads.emplace_back(work, t, n * t / n_threads, n * (t + 1) / n_threads);
    for (auto &thread : threads) thread.join();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// SplitMix64, also a generator for the standard library.
struct Random {
    using result_type = uint64_t;
    uint64_t state;
    static constexpr uint64_t min() { return 0; }
    static constexpr uint64_t max() { return UINT64_MAX; }
    uint64_t operator()() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double unit() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }
};

struct Rows {  // CSR; targets are -1 or 1
    const int64_t *starts;
    const int32_t *ids;
    const float *values;
    const float *targets;
    int64_t n;
};

// K factors, known to the compiler unless K is 0; ONES: every value is 1 and none is read.
template <int K, bool ONES> struct Machine {
    const Rows &rows;
    const int64_t n_columns;
    const int n_factors;
    const float rate, l2;
    // Of a column: factors, their sums of squares, linear weight, its sum of squares. A row more: the bias.
    Block table = allocate((n_columns + 1) * width());

    int factors() const { return K ? K : n_factors; }
    int64_t width() const { return (2 * factors() + 2 + line - 1) / line * line; }
    float *row(int64_t column) const { return table.get() + column * width(); }
    float value(int64_t i) const { return ONES ? 1.0f : rows.values[i]; }

    void initialise(int n_threads, uint64_t seed, float scale) {
        in_parallel(n_threads, n_columns + 1, [=](int, int64_t begin, int64_t end) {
            const int k = factors();
            for (int64_t column = begin; column < end; ++column) {
                Random random{seed + (static_cast<uint64_t>(column) << 20)};
                float *own = row(column);
                // Uniform numbers of the standard deviation `scale`.
                for (int f = 0; f < k; ++f) own[f] = scale * std::sqrt(12.0) * (random.unit() - 0.5);
                std::fill(own + k, own + 2 * k, 1.0f);
                own[2 * k] = 0, own[2 * k + 1] = 1;
            }
        });
    }

    // Ask for the ids of a sample, whose rows are asked for later. Rows longer than three lines are read on
    // by the hardware itself.
    void prefetch_ids(int64_t sample) const {
        for (int64_t at = 0; at < 3 * line; at += line)
            __builtin_prefetch(rows.ids + rows.starts[sample] + at);
    }

    // Raw prediction, with the sums over the columns of factor * value, which the gradient needs too.
    float predict(int64_t sample, float *sums) const {
        const int k = factors();
        alignas(64) float squares[K ? K : max_factors];
        for (int f = 0; f < k; ++f) sums[f] = squares[f] = 0;
        float found = 0;
        for (int64_t i = rows.starts[sample]; i < rows.starts[sample + 1]; ++i) {
            const float *own = row(rows.ids[i]), x = value(i);
            found += own[2 * k] * x;
#pragma omp simd
            for (int f = 0; f < k; ++f) {
                const float part = own[f] * x;
                sums[f] += part;
                squares[f] += part * part;
            }
        }
        float pairs = 0;
        for (int f = 0; f < k; ++f) pairs += sums[f] * sums[f] - squares[f];
        return found + 0.5f * pairs + row(n_columns)[2 * k];
    }

    void step(float &weight, float &sum, float gradient) const {
        sum += gradient * gradient;
        weight -= rate * gradient / std::sqrt(sum);
    }

    // Threads overwrite each other's steps now and then, on purpose: atomic floats would not vectorise.
    void update(int64_t sample, int64_t later) const {
        const int k = factors();
        alignas(64) float sums[K ? K : max_factors];
        const float y = rows.targets[sample];
        const float slope = -y / (1 + std::exp(y * predict(sample, sums)));
        int64_t next = rows.starts[later];
        for (int64_t i = rows.starts[sample]; i < rows.starts[sample + 1]; ++i) {
            if (next < rows.starts[later + 1]) {
                const float *own = row(rows.ids[next++]);
                for (int64_t at = 0; at < width(); at += line) __builtin_prefetch(own + at, 1);
            }
            float *own = row(rows.ids[i]);
            const float x = value(i), outer = slope * x;
#pragma omp simd  // else a loop of 4 or 8 steps is unrolled into scalar ones
            for (int f = 0; f < k; ++f)
                step(own[f], own[k + f], outer * (sums[f] - own[f] * x) + l2 * own[f]);
            step(own[2 * k], own[2 * k + 1], outer + l2 * own[2 * k]);
        }
        step(row(n_columns)[2 * k], row(n_columns)[2 * k + 1], slope);
    }

    // Mean training log loss after the epochs.
    double fit(int n_epochs, int n_threads, uint64_t seed, float scale, double *seconds) {
        initialise(n_threads, seed, scale);
        std::vector<int64_t> order(rows.n);
        std::iota(order.begin(), order.end(), 0);
        for (int epoch = 0; epoch < n_epochs; ++epoch)
            seconds[epoch] = in_parallel(n_threads, rows.n, [&](int t, int64_t begin, int64_t end) {
                std::shuffle(&order[0] + begin, &order[0] + end, Random{seed + epoch * n_threads + t});
                for (int64_t at = begin; at < end; ++at) {
                    __builtin_prefetch(rows.starts + order[std::min(at + 3 * ahead, end - 1)]);
                    prefetch_ids(order[std::min(at + 2 * ahead, end - 1)]);
                    update(order[at], order[std::min(at + ahead, end - 1)]);
                }
            });
        std::vector<double> losses(n_threads);
        in_parallel(n_threads, rows.n, [&](int t, int64_t begin, int64_t end) {
            alignas(64) float sums[K ? K : max_factors];
            double sum = 0;
            for (int64_t sample = begin; sample < end; ++sample) {
                const double margin = rows.targets[sample] * predict(sample, sums);
                sum += std::log1p(std::exp(-std::abs(margin))) + std::max(-margin, 0.0);
            }
            losses[t] = sum;
        });
        return std::accumulate(losses.begin(), losses.end(), 0.0) / rows.n;
    }
};

volatile float kept;  // what a probe computes, so that the compiler does not drop it

template <class Work> double best(int repeats, Work work) {
    double found = work();  // the first run warms up the memory
    for (int i = 1; i < repeats; ++i) found = std::min(found, work());
    return found;
}

}  // namespace

// values may be null: all are 1. Seconds of each epoch go into `seconds`; returns the training log loss.
extern "C" double train(const int64_t *starts, const int32_t *ids, const float *values, const float *targets,
                        int64_t n_rows, int64_t n_columns, int n_factors, int n_epochs, int n_threads,
                        uint64_t seed, float rate, float l2, float scale, double *seconds) {
    const Rows rows{starts, ids, values, targets, n_rows};
    const auto fit = [&](auto k) {
        const auto run = [&](auto machine) { return machine.fit(n_epochs, n_threads, seed, scale, seconds); };
        if (values) return run(Machine<k(), false>{rows, n_columns, n_factors, rate, l2});
        return run(Machine<k(), true>{rows, n_columns, n_factors, rate, l2});
    };
    if (n_factors == 4) return fit(std::integral_constant<int, 4>());
    if (n_factors == 8) return fit(std::integral_constant<int, 8>());
    if (n_factors == 16) return fit(std::integral_constant<int, 16>());
    return fit(std::integral_constant<int, 0>());
}

// Memory bandwidth in bytes a second over arrays of n floats: of a sum and of a copy, which counts both.
extern "C" void bandwidth(int64_t n, int n_threads, int repeats, double *found) {
    const Block source = allocate(n), target = allocate(n);
    float *const from = source.get(), *const to = target.get();
    // Each thread touches first what it uses later, so that it lies near.
    in_parallel(n_threads, n, [=](int, int64_t begin, int64_t end) {
        for (float *p : {from, to}) std::fill(p + begin, p + end, 1.0f);
    });
    std::vector<float> sums(n_threads * line);
    const auto sum = [&](int t, int64_t begin, int64_t end) {
        sums[t * line] = std::accumulate(from + begin, from + end, 0.0f);
    };
    const auto copy = [=](int, int64_t begin, int64_t end) {
        std::memcpy(to + begin, from + begin, (end - begin) * sizeof(float));
    };
    const double bytes = static_cast<double>(n) * sizeof(float);
    found[0] = bytes / best(repeats, [&] { return in_parallel(n_threads, n, sum); });
    found[1] = 2 * bytes / best(repeats, [&] { return in_parallel(n_threads, n, copy); });
    kept = to[n / 2] + sums[0];
}

// Rows a second: n_reads reads of `width` floats, at random among the n_rows of a table; also written back
// if `write`, as training does.
extern "C" double gather(int64_t n_rows, int64_t width, int64_t n_reads, int write, int n_threads,
                         int repeats) {
    const Block table = allocate(n_rows * width);
    float *const first = table.get();
    in_parallel(n_threads, n_rows * width, [=](int, int64_t begin, int64_t end) {
        std::fill(first + begin, first + end, 1.0f);
    });
    std::vector<int32_t> ids(n_reads);
    Random random{0};
    for (auto &id : ids) id = static_cast<int32_t>(random() % n_rows);
    std::vector<float> sums(n_threads * line);
    const auto read = [&](int t, int64_t begin, int64_t end) {
        constexpr int64_t rows_ahead = 32;
        float sum = 0;
        for (int64_t i = begin; i < end; ++i) {
            const float *next = first + ids[std::min(i + rows_ahead, end - 1)] * width;
            for (int64_t at = 0; at < width; at += line) __builtin_prefetch(next + at, 1);
            float *own = first + ids[i] * width;
            for (int64_t at = 0; at < width; ++at) sum += own[at];
            if (write)
                for (int64_t at = 0; at < width; ++at) own[at] *= 0.999f;
        }
        sums[t * line] = sum;
    };
    const double seconds = best(repeats, [&] { return in_parallel(n_threads, n_reads, read); });
    kept = sums[0];
    return n_reads / seconds;
}

// Multiplications and additions a second, in vectors that stay in registers.
extern "C" double peak_flops(int64_t n_steps, int n_threads, int repeats) {
#if defined(__AVX512F__)
    constexpr int bytes = 64;
#elif defined(__AVX__)
    constexpr int bytes = 32;
#else
    constexpr int bytes = 16;
#endif
    typedef float Vector __attribute__((vector_size(bytes)));
    constexpr int chains = 12;  // independent, to hide the latency; with the two constants, in 16 registers
    constexpr int lanes = bytes / sizeof(float);
    std::vector<float> sums(n_threads * line);
    const auto multiply = [&](int t, int64_t begin, int64_t end) {
        Vector part[chains];
        // Not constants alone: the compiler would see that a chain which starts at 1 stays there.
        for (int c = 0; c < chains; ++c) part[c] = Vector{} + static_cast<float>(c + t);
        const Vector factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
        for (int64_t i = begin; i < end; ++i)
            for (int c = 0; c < chains; ++c) part[c] = part[c] * factor + term;
        for (int c = 0; c < chains; ++c) sums[t * line] += part[c][0];
    };
    const double seconds = best(repeats, [&] { return in_parallel(n_threads, n_steps, multiply); });
    kept = sums[0];
    return 2.0 * lanes * chains * n_steps / seconds;
}
