// SPDX-License-Identifier: Apache-2.0
// XXH64 (the published algorithm) of n KiB, repeated: 64-bit multiplications and rotates in four
// independent lanes.
#include "bench.h"

#define MAX 1024
#define PASSES 200
static uint8_t data[MAX * 1024];
static uint64_t result;

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

static inline uint64_t rol(uint64_t x, int n) { return x << n | x >> (64 - n); }

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static inline uint64_t round64(uint64_t lane, uint64_t input)
{
    return rol(lane + input * P2, 31) * P1;
}

static inline uint64_t merge(uint64_t hash, uint64_t lane)
{
    return (hash ^ round64(0, lane)) * P1 + P4;
}

static NOINLINE uint64_t xxh64(const uint8_t *p, size_t n, uint64_t seed)
{
    const uint8_t *end = p + n;
    uint64_t hash;
    if (n >= 32) {
        uint64_t v1 = seed + P1 + P2, v2 = seed + P2, v3 = seed, v4 = seed - P1;
        for (; p + 32 <= end; p += 32) {
            v1 = round64(v1, load64(p));
            v2 = round64(v2, load64(p + 8));
            v3 = round64(v3, load64(p + 16));
            v4 = round64(v4, load64(p + 24));
        }
        hash = rol(v1, 1) + rol(v2, 7) + rol(v3, 12) + rol(v4, 18);
        hash = merge(merge(merge(merge(hash, v1), v2), v3), v4);
    } else {
        hash = seed + P5;
    }
    hash += n;
    for (; p + 8 <= end; p += 8)
        hash = rol(hash ^ round64(0, load64(p)), 27) * P1 + P4;
    for (; p < end; p++)
        hash = rol(hash ^ *p * P5, 11) * P1;
    hash = (hash ^ hash >> 33) * P2;
    hash = (hash ^ hash >> 29) * P3;
    return hash ^ hash >> 32;
}

INIT(int n)
{
    for (int i = 0; i < n * 1024; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 9));
}

RUN(int n)
{
    uint64_t hash = 0;
    for (int pass = 0; pass < PASSES; pass++)
        hash = xxh64(data, (size_t)n * 1024, hash);
    result = hash;
}

CHECKSUM_I64(void) { return (int64_t)result; }
