// SPDX-License-Identifier: Apache-2.0
// Quicksort of 32-bit keys (median of three, insertion sort below 16): unpredictable branches,
// recursion.
#include "bench.h"

#define MAX 200000
static int32_t keys[MAX];
static int size;

INIT(int n)
{
    uint32_t seed = 521288629u;
    size = n;
    for (int i = 0; i < n; i++)
        keys[i] = (int32_t)random_u32(&seed);
}

static inline void swap(int32_t *a, int32_t *b)
{
    int32_t t = *a;
    *a = *b;
    *b = t;
}

static NOINLINE void sort(int32_t *a, int low, int high)
{
    while (high - low > 16) {
        int middle = low + (high - low) / 2;
        if (a[middle] < a[low])
            swap(&a[middle], &a[low]);
        if (a[high] < a[low])
            swap(&a[high], &a[low]);
        if (a[high] < a[middle])
            swap(&a[high], &a[middle]);
        int32_t pivot = a[middle];
        int i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j)
                swap(&a[i++], &a[j--]);
        }
        if (j - low < high - i) {
            sort(a, low, j);
            low = i;
        } else {
            sort(a, i, high);
            high = j;
        }
    }
    for (int i = low + 1; i <= high; i++) {
        int32_t key = a[i];
        int j = i - 1;
        for (; j >= low && a[j] > key; j--)
            a[j + 1] = a[j];
        a[j + 1] = key;
    }
}

RUN(int n) { sort(keys, 0, n - 1); }

CHECKSUM_I64(void)
{
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < size; i++)
        hash = mix(hash, (uint32_t)keys[i]);
    return (int64_t)hash;
}
