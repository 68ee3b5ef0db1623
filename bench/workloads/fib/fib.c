// SPDX-License-Identifier: Apache-2.0
// Naive Fibonacci with a twist against inlining into itself: nothing but calls.
#include "bench.h"

static uint32_t result;

INIT(int n) { (void)n; }

static NOINLINE uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

RUN(int n) { result = fib((uint32_t)n); }

CHECKSUM_I64(void) { return result; }
