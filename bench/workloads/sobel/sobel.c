// SPDX-License-Identifier: Apache-2.0
// Sobel edge detection on bytes with a histogram: widening integer arithmetic, absolute values.
#include "bench.h"

#define MAX 1000
static uint8_t image[MAX][MAX], edges[MAX][MAX];
static uint32_t histogram[256];
static int size;

INIT(int n)
{
    uint32_t seed = 69621u;
    size = n;
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            image[y][x] = (uint8_t)((x * x / 64 + y * 3 + (random_u32(&seed) & 15)) & 255);
}

static inline int absolute(int x) { return x < 0 ? -x : x; }

RUN(int n)
{
    for (int i = 0; i < 256; i++)
        histogram[i] = 0;
    for (int pass = 0; pass < 16; pass++)
        for (int y = 1; y < n - 1; y++) {
            const uint8_t *a = image[y - 1], *b = image[y], *c = image[y + 1];
            for (int x = 1; x < n - 1; x++) {
                int gx = a[x + 1] - a[x - 1] + 2 * (b[x + 1] - b[x - 1]) + c[x + 1] - c[x - 1];
                int gy = c[x - 1] - a[x - 1] + 2 * (c[x] - a[x]) + c[x + 1] - a[x + 1];
                int g = absolute(gx) + absolute(gy) + pass;
                edges[y][x] = (uint8_t)(g > 255 ? 255 : g);
            }
        }
    for (int y = 1; y < n - 1; y++)
        for (int x = 1; x < n - 1; x++)
            histogram[edges[y][x]]++;
}

CHECKSUM_I64(void)
{
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < 256; i++)
        hash = mix(hash, histogram[i]);
    for (int y = 1; y < size - 1; y++)
        hash = mix(hash, edges[y][y] * 256u + edges[y][size - 1 - y]);
    return (int64_t)hash;
}
