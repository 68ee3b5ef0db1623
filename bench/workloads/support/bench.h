// SPDX-License-Identifier: Apache-2.0
// What all workloads share. A workload is freestanding C with static data and three functions:
//   init(n)     fills the input; called, untimed, before every run
//   run(n)      does the work; the only part that is timed
//   checksum()  condenses the output into one i64 or f64
// The same source is built to wasm and to a native shared library (bench/build.py). To link several
// workloads into one module, BENCH_PREFIX goes before the three names.
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

#ifndef BENCH_PREFIX
#define BENCH_PREFIX
#endif
#define BENCH_PASTE(prefix, name) prefix##name
#define BENCH_NAME(prefix, name) BENCH_PASTE(prefix, name)
#define BENCH_TEXT(name) #name
#ifdef __wasm__
#define BENCH_EXPORT(name) __attribute__((export_name(BENCH_TEXT(name))))
#else
#define BENCH_EXPORT(name) __attribute__((visibility("default")))
#endif
#define ENTRY_NAMED(type, name) BENCH_EXPORT(name) type name
#define ENTRY_EXPANDED(type, name) ENTRY_NAMED(type, name)
#define ENTRY(type, name) ENTRY_EXPANDED(type, BENCH_NAME(BENCH_PREFIX, name))

#define INIT ENTRY(void, init)
#define RUN ENTRY(void, run)
#define CHECKSUM_F64 ENTRY(double, checksum)
#define CHECKSUM_I64 ENTRY(int64_t, checksum)

#define NOINLINE __attribute__((noinline))

// Deterministic input: Marsaglia's xorshift32, and a double in [0, 1).
static inline uint32_t random_u32(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

static inline double random_f64(uint32_t *state)
{
    return random_u32(state) * (1.0 / 4294967296.0);
}

// Weighted sum of a matrix stored with `stride`: catches misplaced and missing elements.
static inline double sum_matrix(const double *a, int rows, int columns, int stride)
{
    double sum = 0.0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            sum += a[(size_t)i * stride + j] * (1 + ((3 * i + j) & 7));
    return sum;
}

static inline double sum_vector(const double *a, int n)
{
    return sum_matrix(a, 1, n, n);
}

// One step of FNV-1a over 64-bit words.
static inline uint64_t mix(uint64_t hash, uint64_t word)
{
    return (hash ^ word) * 0x100000001b3u;
}

#define MIX_SEED 0xcbf29ce484222325u

#endif
