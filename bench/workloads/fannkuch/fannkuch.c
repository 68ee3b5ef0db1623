// SPDX-License-Identifier: Apache-2.0
// Fannkuch-redux: permutations of n in a fixed order, counting prefix reversals.
#include "bench.h"

#define MAX 12
static int32_t maximum;
static int64_t sum;

INIT(int n) { (void)n; }

RUN(int n)
{
    int32_t permutation[MAX], work[MAX], count[MAX];
    int r = n;
    uint32_t serial = 0;
    maximum = 0;
    sum = 0;
    for (int i = 0; i < n; i++)
        permutation[i] = i;
    for (;;) {
        for (; r > 1; r--)
            count[r - 1] = r;
        for (int i = 0; i < n; i++)
            work[i] = permutation[i];
        int32_t flips = 0;
        for (int first = work[0]; first; first = work[0], flips++)
            for (int low = 0, high = first; low < high; low++, high--) {
                int32_t t = work[low];
                work[low] = work[high];
                work[high] = t;
            }
        maximum = flips > maximum ? flips : maximum;
        sum += serial++ & 1 ? -flips : flips;
        for (;; r++) {
            if (r == n)
                return;
            int32_t first = permutation[0];
            for (int i = 0; i < r; i++)
                permutation[i] = permutation[i + 1];
            permutation[r] = first;
            if (--count[r] > 0)
                break;
        }
    }
}

CHECKSUM_I64(void) { return sum * 1000 + maximum; }
