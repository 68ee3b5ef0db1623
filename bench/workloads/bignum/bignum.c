// SPDX-License-Identifier: Apache-2.0
// Digits of sqrt(2) and products of big integers with 32-bit limbs in 64-bit arithmetic: carries,
// widening multiplication, division by a limb. n limbs.
#include "bench.h"

#define MAX 1024
static uint32_t a[MAX], b[MAX], product[2 * MAX];
static uint64_t result;

INIT(int n)
{
    uint32_t seed = 1103515245u;
    for (int i = 0; i < n; i++) {
        a[i] = random_u32(&seed);
        b[i] = random_u32(&seed);
    }
}

static NOINLINE void multiply(uint32_t *to, const uint32_t *x, const uint32_t *y, int n)
{
    for (int i = 0; i < 2 * n; i++)
        to[i] = 0;
    for (int i = 0; i < n; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < n; j++) {
            carry += (uint64_t)x[i] * y[j] + to[i + j];
            to[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        to[i + n] = (uint32_t)carry;
    }
}

static NOINLINE uint32_t divide(uint32_t *x, int n, uint32_t by)
{
    uint64_t rest = 0;
    for (int i = n - 1; i >= 0; i--) {
        rest = rest << 32 | x[i];
        x[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    return (uint32_t)rest;
}

RUN(int n)
{
    uint64_t hash = MIX_SEED;
    for (int pass = 0; pass < 20; pass++) {
        multiply(product, a, b, n);
        for (int i = 0; i < n; i++) {
            a[i] = product[i];
            b[i] ^= product[i + n];
        }
        for (int i = 0; i < 16; i++)
            hash = mix(hash, divide(product, 2 * n, 1000000007u + (uint32_t)i));
    }
    result = hash;
}

CHECKSUM_I64(void) { return (int64_t)result; }
