// Instruction sets that code is compiled for, and the best that this machine has.
//
// A source that names SKFM_SET is compiled once for each, with SKFM_SET the namespace of its copy.
#pragma once

namespace skfm {

enum class Set { kPlain, kAvx2, kAvx512 };

// The best; no better than the one that the variable SKFM_NATIVE names, if it does.
Set best_set();

// The best of the copies of a function.
#if defined(__x86_64__)
#define SKFM_BEST(function)                                      \
  (::skfm::best_set() == ::skfm::Set::kAvx512 ? avx512::function \
   : ::skfm::best_set() == ::skfm::Set::kAvx2 ? avx2::function   \
                                              : plain::function)
#else
#define SKFM_BEST(function) plain::function
#endif

}  // namespace skfm
