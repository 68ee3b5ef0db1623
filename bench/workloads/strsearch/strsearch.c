// SPDX-License-Identifier: Apache-2.0
// Searching n KiB of text for eight patterns: Boyer-Moore-Horspool for long ones, a first-byte
// scan for short ones.
#include "text.h"

#define MAX 1024
static uint8_t text[MAX * 1024];
static uint64_t result;

INIT(int n) { fill_text(text, n * 1024, 1013904223u); }

static NOINLINE uint64_t horspool(const uint8_t *in, int n, const char *pattern, int m)
{
    int skip[256];
    uint64_t hash = 0;
    for (int i = 0; i < 256; i++)
        skip[i] = m;
    for (int i = 0; i < m - 1; i++)
        skip[(uint8_t)pattern[i]] = m - 1 - i;
    for (int at = 0; at + m <= n; at += skip[in[at + m - 1]]) {
        int i = m - 1;
        while (i >= 0 && in[at + i] == (uint8_t)pattern[i])
            i--;
        if (i < 0)
            hash = hash * 31 + (uint64_t)at;
    }
    return hash;
}

static NOINLINE uint64_t scan(const uint8_t *in, int n, const char *pattern, int m)
{
    uint64_t hash = 0;
    for (int at = 0; at + m <= n; at++) {
        if (in[at] != (uint8_t)pattern[0])
            continue;
        int i = 1;
        while (i < m && in[at + i] == (uint8_t)pattern[i])
            i++;
        if (i == m)
            hash = hash * 31 + (uint64_t)at;
    }
    return hash;
}

RUN(int n)
{
    static const char *const patterns[8] = {
        "of a",     "is\n",          "memory that is", "instruction register",
        "the loop", "compiler with", "zq",             "the the function stack",
    };
    uint64_t hash = MIX_SEED;
    for (int p = 0; p < 8; p++) {
        int m = 0;
        while (patterns[p][m])
            m++;
        hash = mix(hash, m > 4 ? horspool(text, n * 1024, patterns[p], m)
                               : scan(text, n * 1024, patterns[p], m));
    }
    result = hash;
}

CHECKSUM_I64(void) { return (int64_t)result; }
