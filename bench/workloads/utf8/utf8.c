// SPDX-License-Identifier: Apache-2.0
// Decoding n KiB of UTF-8 with full validation (overlong forms, surrogates, range) and counting by
// class: branches that depend on data.
#include "bench.h"

#define MAX 2048
static uint8_t data[MAX * 1024 + 4];
static uint64_t result;

static int put(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        to[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    to[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

INIT(int n)
{
    uint32_t seed = 22695477u;
    int at = 0;
    while (at < n * 1024) {
        uint32_t r = random_u32(&seed), kind = r & 15, c;
        if (kind < 9)
            c = 32 + (r >> 8) % 95;
        else if (kind < 12)
            c = 0x80 + (r >> 8) % 0x780;
        else if (kind < 15)
            c = 0x800 + (r >> 8) % 0xd000;
        else
            c = 0x10000 + (r >> 8) % 0x100000;
        at += put(data + at, c);
    }
}

static inline int continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

// The next code point, or -1; advances *at.
static inline int32_t next(const uint8_t *in, int *at)
{
    const uint8_t *p = in + *at;
    uint32_t c = p[0];
    if (c < 0x80) {
        *at += 1;
        return (int32_t)c;
    }
    if (c >= 0xc2 && c < 0xe0 && continuation(p[1])) {
        *at += 2;
        return (int32_t)((c & 31) << 6 | (p[1] & 63));
    }
    if (c >= 0xe0 && c < 0xf0 && continuation(p[1]) && continuation(p[2])) {
        c = (c & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
        *at += 3;
        return c >= 0x800 && (c < 0xd800 || c > 0xdfff) ? (int32_t)c : -1;
    }
    if (c >= 0xf0 && c < 0xf5 && continuation(p[1]) && continuation(p[2]) && continuation(p[3])) {
        c = (c & 7) << 18 | (uint32_t)(p[1] & 63) << 12 | (uint32_t)(p[2] & 63) << 6 | (p[3] & 63);
        *at += 4;
        return c >= 0x10000 && c <= 0x10ffff ? (int32_t)c : -1;
    }
    *at += 1;
    return -1;
}

RUN(int n)
{
    uint64_t sum = 0, bad = 0, upper = 0, wide = 0;
    for (int at = 0; at < n * 1024;) {
        int32_t c = next(data, &at);
        if (c < 0)
            bad++;
        else
            sum += (uint64_t)c;
        upper += c >= 'A' && c <= 'Z';
        wide += c > 0xffff;
    }
    result = mix(mix(mix(mix(MIX_SEED, sum), bad), upper), wide);
}

CHECKSUM_I64(void) { return (int64_t)result; }
