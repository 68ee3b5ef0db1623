// SPDX-License-Identifier: Apache-2.0
// Forward substitution L*x = b, repeated with the solution as the next right-hand side.
#include "bench.h"

#define MAX 400
#define PASSES 120
static double L[MAX][MAX], x[MAX], b[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        b[i] = 1 + (double)i / n;
        for (int j = 0; j < n; j++)
            L[i][j] = i == j ? 2.0 : (double)(i + n - j + 1) / n / n;
    }
}

RUN(int n)
{
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < n; i++) {
            double sum = b[i];
            for (int j = 0; j < i; j++)
                sum -= L[i][j] * x[j];
            x[i] = sum / L[i][i];
        }
        for (int i = 0; i < n; i++)
            b[i] = 1 + x[i] * 0.5;
    }
}

CHECKSUM_F64(void) { return sum_vector(x, size); }
