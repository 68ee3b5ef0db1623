// SPDX-License-Identifier: Apache-2.0
// Sudoku by backtracking over bit masks, choosing the cell with the fewest candidates: recursion,
// population counts, count-trailing-zeros. Solves n puzzles.
#include "bench.h"

static const char *const puzzles[4] = {
    "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......",
    "..............3.85..1.2.......5.7.....4...1...9.......5......73..2.1........4...9",
    "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..",
    "1....7.9..3..2...8..96..5....53..9...1..8...26....4...3......1..4......7..7...3..",
};
static int8_t cells[81];
static uint16_t rows[9], columns[9], boxes[9];
static uint64_t result, nodes;

INIT(int n) { (void)n; }

static void put(int cell, int digit)
{
    uint16_t bit = (uint16_t)(1u << digit);
    cells[cell] = (int8_t)digit;
    rows[cell / 9] ^= bit;
    columns[cell % 9] ^= bit;
    boxes[cell / 27 * 3 + cell % 9 / 3] ^= bit;
}

static NOINLINE int solve(void)
{
    int best = -1, fewest = 10;
    uint32_t choices = 0;
    nodes++;
    for (int cell = 0; cell < 81; cell++) {
        if (cells[cell] >= 0)
            continue;
        uint32_t used = rows[cell / 9] | columns[cell % 9] | boxes[cell / 27 * 3 + cell % 9 / 3];
        uint32_t candidates = ~used & 0x1ff;
        int count = __builtin_popcount(candidates);
        if (count < fewest) {
            fewest = count;
            best = cell;
            choices = candidates;
            if (count <= 1)
                break;
        }
    }
    if (best < 0)
        return 1;
    for (; choices; choices &= choices - 1) {
        int digit = __builtin_ctz(choices);
        put(best, digit);
        if (solve())
            return 1;
        put(best, digit);
        cells[best] = -1;
    }
    return 0;
}

RUN(int n)
{
    uint64_t hash = MIX_SEED;
    nodes = 0;
    for (int p = 0; p < n; p++) {
        for (int i = 0; i < 9; i++)
            rows[i] = columns[i] = boxes[i] = 0;
        for (int cell = 0; cell < 81; cell++)
            cells[cell] = -1;
        for (int cell = 0; cell < 81; cell++)
            if (puzzles[p & 3][cell] != '.')
                put(cell, puzzles[p & 3][cell] - '1');
        hash = mix(hash, (uint64_t)solve());
        for (int cell = 0; cell < 81; cell++)
            hash = mix(hash, (uint64_t)cells[cell]);
    }
    result = mix(hash, nodes);
}

CHECKSUM_I64(void) { return (int64_t)result; }
