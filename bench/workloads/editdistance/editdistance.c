// SPDX-License-Identifier: Apache-2.0
// Levenshtein distance of two strings of n bytes: a row of integers, minimum of three.
#include "text.h"

#define MAX 8000
static uint8_t a[MAX], b[MAX];
static int32_t row[MAX + 1];
static int32_t distance;

INIT(int n)
{
    fill_text(a, n, 69069u);
    fill_text(b, n, 1664525u);
}

RUN(int n)
{
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int32_t diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int32_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    distance = row[n];
}

CHECKSUM_I64(void) { return distance; }
