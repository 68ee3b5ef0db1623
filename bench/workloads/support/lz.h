// SPDX-License-Identifier: Apache-2.0
// A byte-oriented LZ77 codec of our own, shaped like LZ4: token (4 bits of literal length, 4 bits
// of match length), literals, 16-bit distance; lengths of 15 continue in bytes of 255.
#ifndef BENCH_LZ_H
#define BENCH_LZ_H

#include "bench.h"

#define LZ_MIN_MATCH 4
#define LZ_HASH_BITS 14
#define LZ_WINDOW 65535

static int32_t lz_head[1 << LZ_HASH_BITS];

static inline uint32_t lz_load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint8_t *lz_put_length(uint8_t *to, int rest)
{
    for (; rest >= 255; rest -= 255)
        *to++ = 255;
    *to++ = (uint8_t)rest;
    return to;
}

static inline uint8_t *lz_put_sequence(uint8_t *to, const uint8_t *literals, int count, int match,
                                       int distance)
{
    uint8_t *token = to++;
    int extra = match ? match - LZ_MIN_MATCH : 0;
    *token = (uint8_t)((count < 15 ? count : 15) << 4 | (extra < 15 ? extra : 15));
    if (count >= 15)
        to = lz_put_length(to, count - 15);
    for (int i = 0; i < count; i++)
        *to++ = literals[i];
    if (match) {
        *to++ = (uint8_t)distance;
        *to++ = (uint8_t)(distance >> 8);
        if (extra >= 15)
            to = lz_put_length(to, extra - 15);
    }
    return to;
}

static inline NOINLINE int lz_compress(uint8_t *to, const uint8_t *from, int n)
{
    uint8_t *start = to;
    int at = 0, anchor = 0;
    for (int i = 0; i < 1 << LZ_HASH_BITS; i++)
        lz_head[i] = -1;
    while (at + LZ_MIN_MATCH <= n) {
        uint32_t word = lz_load32(from + at);
        uint32_t slot = word * 2654435761u >> (32 - LZ_HASH_BITS);
        int candidate = lz_head[slot];
        lz_head[slot] = at;
        if (candidate < 0 || at - candidate > LZ_WINDOW || lz_load32(from + candidate) != word) {
            at++;
            continue;
        }
        int match = LZ_MIN_MATCH;
        while (at + match < n && from[candidate + match] == from[at + match])
            match++;
        to = lz_put_sequence(to, from + anchor, at - anchor, match, at - candidate);
        at += match;
        anchor = at;
    }
    to = lz_put_sequence(to, from + anchor, n - anchor, 0, 0);
    return (int)(to - start);
}

static inline const uint8_t *lz_get_length(const uint8_t *from, int *length)
{
    uint8_t byte;
    do {
        byte = *from++;
        *length += byte;
    } while (byte == 255);
    return from;
}

static inline NOINLINE int lz_decompress(uint8_t *to, const uint8_t *from, int n)
{
    uint8_t *start = to;
    const uint8_t *end = from + n;
    while (from < end) {
        uint8_t token = *from++;
        int count = token >> 4, match = token & 15;
        if (count == 15)
            from = lz_get_length(from, &count);
        for (int i = 0; i < count; i++)
            *to++ = *from++;
        if (from >= end)
            break;
        int distance = from[0] | from[1] << 8;
        from += 2;
        if (match == 15)
            from = lz_get_length(from, &match);
        match += LZ_MIN_MATCH;
        const uint8_t *source = to - distance;
        for (int i = 0; i < match; i++)
            *to++ = *source++;
    }
    return (int)(to - start);
}

#endif
