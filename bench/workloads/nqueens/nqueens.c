// SPDX-License-Identifier: Apache-2.0
// Counting the solutions of the n-queens problem with bit masks: deep recursion, tiny functions.
#include "bench.h"

static uint64_t solutions, visited;

INIT(int n) { (void)n; }

static NOINLINE uint32_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right)
{
    uint32_t count = 0;
    visited++;
    if (columns == all)
        return 1;
    for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
        uint32_t bit = free & -free;
        count += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

RUN(int n)
{
    visited = 0;
    solutions = place((1u << n) - 1, 0, 0, 0);
}

CHECKSUM_I64(void) { return (int64_t)(solutions << 32 | visited); }
