// SPDX-License-Identifier: Apache-2.0
// Base64 encoding and decoding of n KiB with checks for bad input: table look-ups, byte shuffles.
#include "bench.h"

#define MAX 1536
static uint8_t data[MAX * 1024 + 3], encoded[MAX * 1366 + 8], decoded[MAX * 1024 + 3];
static uint8_t inverse[256];
static int encoded_size, decoded_size;
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

INIT(int n)
{
    for (int i = 0; i < 256; i++)
        inverse[i] = 255;
    for (int i = 0; i < 64; i++)
        inverse[(uint8_t)alphabet[i]] = (uint8_t)i;
    for (int i = 0; i < n * 1024; i++)
        data[i] = (uint8_t)(i * 29 + (i >> 6));
}

static NOINLINE int encode(uint8_t *to, const uint8_t *from, int n)
{
    uint8_t *start = to;
    for (int i = 0; i + 2 < n; i += 3) {
        uint32_t word = (uint32_t)from[i] << 16 | (uint32_t)from[i + 1] << 8 | from[i + 2];
        *to++ = (uint8_t)alphabet[word >> 18];
        *to++ = (uint8_t)alphabet[word >> 12 & 63];
        *to++ = (uint8_t)alphabet[word >> 6 & 63];
        *to++ = (uint8_t)alphabet[word & 63];
    }
    return (int)(to - start);
}

static NOINLINE int decode(uint8_t *to, const uint8_t *from, int n)
{
    uint8_t *start = to;
    for (int i = 0; i + 3 < n; i += 4) {
        uint8_t a = inverse[from[i]], b = inverse[from[i + 1]];
        uint8_t c = inverse[from[i + 2]], d = inverse[from[i + 3]];
        if ((a | b | c | d) & 128)
            return -1;
        uint32_t word = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
        *to++ = (uint8_t)(word >> 16);
        *to++ = (uint8_t)(word >> 8);
        *to++ = (uint8_t)word;
    }
    return (int)(to - start);
}

RUN(int n)
{
    for (int pass = 0; pass < 4; pass++) {
        encoded_size = encode(encoded, data, n * 1024);
        decoded_size = decode(decoded, encoded, encoded_size);
    }
}

CHECKSUM_I64(void)
{
    uint64_t hash = mix(MIX_SEED, (uint64_t)decoded_size);
    for (int i = 0; i < encoded_size; i++)
        hash = mix(hash, encoded[i]);
    return (int64_t)hash;
}
