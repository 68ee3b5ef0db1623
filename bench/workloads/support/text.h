// SPDX-License-Identifier: Apache-2.0
// Deterministic text in the manner of prose: words from a small vocabulary with a skewed
// distribution, so it compresses and has realistic matches.
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include "bench.h"

static const char *const text_words[32] = {
    "the",     "of",     "and",   "module", "to",    "in",      "function", "a",
    "memory",  "that",   "is",    "stack",  "value", "for",     "compiler", "it",
    "integer", "with",   "as",    "loop",   "table", "element", "on",       "register",
    "block",   "branch", "which", "index",  "this",  "address", "code",     "instruction",
};

static inline void fill_text(uint8_t *to, int n, uint32_t seed)
{
    int at = 0, line = 0;
    while (at < n) {
        uint32_t r = random_u32(&seed);
        // The smaller of two draws prefers the front of the vocabulary.
        uint32_t a = r & 31, b = (r >> 5) & 31;
        for (const char *c = text_words[a < b ? a : b]; *c && at < n; c++, line++)
            to[at++] = (uint8_t)*c;
        if ((r >> 10) % 11 == 0 && at < n)
            to[at++] = r >> 31 ? ',' : '.';
        if ((r >> 14) % 17 == 0)
            for (uint32_t digits = r >> 18; digits && at < n; digits /= 10)
                to[at++] = (uint8_t)('0' + digits % 10);
        if (at < n)
            to[at++] = line > 72 ? '\n' : ' ';
        if (line > 72)
            line = 0;
    }
}

#endif
