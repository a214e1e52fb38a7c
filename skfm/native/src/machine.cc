// What was built, and what of it this machine runs.

#include "machine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "export.h"

namespace skfm {
namespace {

// In the order of Set.
#if defined(__x86_64__)
constexpr const char* kNames[] = {"plain", "avx2", "avx512"};
#elif defined(__aarch64__)
constexpr const char* kNames[] = {"neon"};  // which every such machine has
#else
constexpr const char* kNames[] = {"plain"};
#endif

Set of_machine() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Set::kPlain;
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  return has_avx512 ? Set::kAvx512 : Set::kAvx2;
#else
  return Set::kPlain;
#endif
}

Set at_most() {
  const char* name = std::getenv("SKFM_NATIVE");
  int number = 0;
  for (const char* one : kNames) {
    if (name && !std::strcmp(name, one)) return static_cast<Set>(number);
    ++number;
  }
  return Set::kAvx512;
}

}  // namespace

Set best_set() {
  static const Set found = std::min(of_machine(), at_most());
  return found;
}

}  // namespace skfm

extern "C" {

// The fingerprint of the sources.
SKFM_EXPORT const char* skfm_sources() { return SKFM_SOURCES; }

SKFM_EXPORT const char* skfm_set() { return skfm::kNames[static_cast<int>(skfm::best_set())]; }
}
