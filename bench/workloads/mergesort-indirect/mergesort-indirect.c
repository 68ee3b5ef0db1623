// SPDX-License-Identifier: Apache-2.0
// Merge sort of records through a comparison function pointer, as qsort does: one indirect call
// for each comparison.
#include "bench.h"

#define MAX 60000
typedef struct {
    uint32_t key;
    uint32_t serial;
} Record;
typedef int (*Compare)(const Record *, const Record *);

static Record records[MAX], spare[MAX];
static int size;

static int by_key(const Record *a, const Record *b)
{
    return a->key < b->key ? -1 : a->key > b->key;
}

static int by_low_bits(const Record *a, const Record *b)
{
    uint32_t x = a->key & 0xffff, y = b->key & 0xffff;
    return x < y ? -1 : x > y;
}

static int by_serial(const Record *a, const Record *b)
{
    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

// In a variable other files may change, so that no compiler can know the target.
Compare mergesort_orders[3] = {by_key, by_serial, by_low_bits};

INIT(int n)
{
    uint32_t seed = 362436069u;
    size = n;
    for (int i = 0; i < n; i++) {
        records[i].key = random_u32(&seed);
        records[i].serial = (uint32_t)i;
    }
}

static NOINLINE void sort(Record *a, int n, Compare compare)
{
    Record *from = a, *to = spare;
    for (int width = 1; width < n; width *= 2) {
        for (int low = 0; low < n; low += 2 * width) {
            int middle = low + width < n ? low + width : n;
            int high = low + 2 * width < n ? low + 2 * width : n;
            int i = low, j = middle;
            for (int k = low; k < high; k++)
                if (i < middle && (j >= high || compare(&from[i], &from[j]) <= 0))
                    to[k] = from[i++];
                else
                    to[k] = from[j++];
        }
        Record *t = from;
        from = to;
        to = t;
    }
    if (from != a)
        for (int i = 0; i < n; i++)
            a[i] = from[i];
}

RUN(int n)
{
    for (int order = 0; order < 3; order++)
        sort(records, n, mergesort_orders[order]);
}

CHECKSUM_I64(void)
{
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < size; i++)
        hash = mix(hash, (uint64_t)records[i].key << 32 | records[i].serial);
    return (int64_t)hash;
}
