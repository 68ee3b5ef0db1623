// SPDX-License-Identifier: Apache-2.0
// Sieve of Eratosthenes up to n: byte stores at a stride, then a count.
#include "bench.h"

#define MAX 4000000
static uint8_t composite[MAX];
static int32_t primes;

INIT(int n)
{
    for (int i = 0; i < n; i++)
        composite[i] = 0;
}

RUN(int n)
{
    int32_t count = 0;
    for (int i = 2; i < n; i++) {
        if (composite[i])
            continue;
        count++;
        if (i <= 46340)
            for (int j = i * i; j < n; j += i)
                composite[j] = 1;
    }
    primes = count;
}

CHECKSUM_I64(void) { return primes; }
