// SPDX-License-Identifier: Apache-2.0
// Alpha-beta search of Othello to depth n on bitboards: shifts, masks, population counts,
// recursion with 64-bit arguments.
#include "bench.h"

static uint64_t nodes;
static int32_t score;

INIT(int n) { (void)n; }

#define NOT_A 0xfefefefefefefefeu
#define NOT_H 0x7f7f7f7f7f7f7f7fu

static inline uint64_t shift(uint64_t b, int direction)
{
    switch (direction) {
    case 0: return b << 1 & NOT_A;
    case 1: return b >> 1 & NOT_H;
    case 2: return b << 8;
    case 3: return b >> 8;
    case 4: return b << 9 & NOT_A;
    case 5: return b >> 9 & NOT_H;
    case 6: return b << 7 & NOT_H;
    default: return b >> 7 & NOT_A;
    }
}

static NOINLINE uint64_t moves(uint64_t own, uint64_t other)
{
    uint64_t found = 0, empty = ~(own | other);
    for (int d = 0; d < 8; d++) {
        uint64_t run = shift(own, d) & other;
        for (int i = 0; i < 5; i++)
            run |= shift(run, d) & other;
        found |= shift(run, d) & empty;
    }
    return found;
}

static NOINLINE uint64_t flips(uint64_t own, uint64_t other, uint64_t move)
{
    uint64_t all = 0;
    for (int d = 0; d < 8; d++) {
        uint64_t run = 0, at = shift(move, d);
        while (at & other) {
            run |= at;
            at = shift(at, d);
        }
        if (at & own)
            all |= run;
    }
    return all;
}

static inline int evaluate(uint64_t own, uint64_t other)
{
    const uint64_t corners = 0x8100000000000081u;
    int mobility = __builtin_popcountll(moves(own, other)) -
                   __builtin_popcountll(moves(other, own));
    int corner = __builtin_popcountll(own & corners) - __builtin_popcountll(other & corners);
    int discs = __builtin_popcountll(own) - __builtin_popcountll(other);
    return 8 * mobility + 64 * corner + discs;
}

static NOINLINE int search(uint64_t own, uint64_t other, int depth, int alpha, int beta, int passed)
{
    nodes++;
    if (depth == 0)
        return evaluate(own, other);
    uint64_t choices = moves(own, other);
    if (!choices) {
        if (passed)
            return 1000 * (__builtin_popcountll(own) - __builtin_popcountll(other));
        return -search(other, own, depth - 1, -beta, -alpha, 1);
    }
    for (; choices; choices &= choices - 1) {
        uint64_t move = choices & -choices;
        uint64_t turned = flips(own, other, move);
        int value = -search(other ^ turned, own | move | turned, depth - 1, -beta, -alpha, 0);
        if (value >= beta)
            return value;
        if (value > alpha)
            alpha = value;
    }
    return alpha;
}

RUN(int n)
{
    nodes = 0;
    score = search(0x0000000810000000u, 0x0000001008000000u, n, -1000000, 1000000, 0);
}

CHECKSUM_I64(void) { return (int64_t)(nodes << 24) + score; }
