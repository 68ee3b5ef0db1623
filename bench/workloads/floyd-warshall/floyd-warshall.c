// SPDX-License-Identifier: Apache-2.0
// All shortest paths on integers: min as compare and select, vectorises as integers.
#include "bench.h"

#define MAX 300
static int32_t path[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            path[i][j] = i * j % 7 + 1;
            if ((i + j) % 13 == 0 || (i + j) % 7 == 0 || (i + j) % 11 == 0)
                path[i][j] = 999;
        }
}

RUN(int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                int32_t through = path[i][k] + path[k][j];
                path[i][j] = path[i][j] < through ? path[i][j] : through;
            }
}

CHECKSUM_I64(void)
{
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            hash = mix(hash, (uint32_t)path[i][j]);
    return (int64_t)hash;
}
