// What the library shows to others; all else is hidden.
#pragma once

#if defined(_WIN32)
#define SKFM_EXPORT __declspec(dllexport)
#else
#define SKFM_EXPORT __attribute__((visibility("default")))
#endif
