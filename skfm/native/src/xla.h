// XLA's headers, whatever their version: handlers ask for no more than the oldest jaxlib that skfm runs with.
#pragma once

#include "xla/ffi/api/c_api.h"

#undef XLA_FFI_API_MINOR
#define XLA_FFI_API_MINOR 1

#include "xla/ffi/api/ffi.h"
