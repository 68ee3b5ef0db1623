// SPDX-License-Identifier: Apache-2.0
// ChaCha20 (RFC 8439) key stream over n KiB: additions, xors and rotates on sixteen words, which
// the SLP vectoriser may or may not see.
#include "bench.h"

#define MAX 4096
static uint8_t data[MAX * 1024];

static inline uint32_t rol(uint32_t x, int n) { return x << n | x >> (32 - n); }

#define QUARTER(a, b, c, d)                                                                        \
    (x[a] += x[b], x[d] = rol(x[d] ^ x[a], 16), x[c] += x[d], x[b] = rol(x[b] ^ x[c], 12),         \
     x[a] += x[b], x[d] = rol(x[d] ^ x[a], 8), x[c] += x[d], x[b] = rol(x[b] ^ x[c], 7))

static NOINLINE void xor_block(uint8_t *to, const uint32_t *input)
{
    uint32_t x[16];
    for (int i = 0; i < 16; i++)
        x[i] = input[i];
    for (int i = 0; i < 10; i++) {
        QUARTER(0, 4, 8, 12);
        QUARTER(1, 5, 9, 13);
        QUARTER(2, 6, 10, 14);
        QUARTER(3, 7, 11, 15);
        QUARTER(0, 5, 10, 15);
        QUARTER(1, 6, 11, 12);
        QUARTER(2, 7, 8, 13);
        QUARTER(3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++) {
        uint32_t word = x[i] + input[i];
        for (int k = 0; k < 4; k++)
            to[4 * i + k] ^= (uint8_t)(word >> (8 * k));
    }
}

INIT(int n)
{
    for (int i = 0; i < n * 1024; i++)
        data[i] = (uint8_t)(i * 5);
}

RUN(int n)
{
    uint32_t input[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    for (uint32_t i = 4; i < 16; i++)
        input[i] = i * 0x01234567u;
    for (int at = 0; at < n * 1024; at += 64) {
        input[12]++;
        xor_block(data + at, input);
    }
}

CHECKSUM_I64(void)
{
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < 4096; i++)
        hash = mix(hash, data[i]);
    return (int64_t)hash;
}
