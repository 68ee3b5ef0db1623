// SPDX-License-Identifier: Apache-2.0
// Least-significant-digit radix sort of 32-bit keys: histograms, prefix sums, scattered stores.
#include "bench.h"

#define MAX 1600000
static uint32_t keys[MAX], spare[MAX];
static int size;

INIT(int n)
{
    uint32_t seed = 123456789u;
    size = n;
    for (int i = 0; i < n; i++)
        keys[i] = random_u32(&seed);
}

RUN(int n)
{
    uint32_t *from = keys, *to = spare;
    for (int shift = 0; shift < 32; shift += 8) {
        uint32_t count[256] = {0}, sum = 0;
        for (int i = 0; i < n; i++)
            count[from[i] >> shift & 255]++;
        for (int d = 0; d < 256; d++) {
            uint32_t here = count[d];
            count[d] = sum;
            sum += here;
        }
        for (int i = 0; i < n; i++)
            to[count[from[i] >> shift & 255]++] = from[i];
        uint32_t *t = from;
        from = to;
        to = t;
    }
}

CHECKSUM_I64(void)
{
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < size; i++)
        hash = mix(hash, keys[i]);
    return (int64_t)hash;
}
