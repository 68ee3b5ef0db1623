// SPDX-License-Identifier: Apache-2.0
// Nine-point stencil in place: a chain of dependent additions, latency-bound by nature.
#include "bench.h"

#define MAX 200
#define STEPS 20
static double A[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            A[i][j] = (double)(i * (j + 2) + 2) / n;
}

RUN(int n)
{
    for (int t = 0; t < STEPS; t++)
        for (int i = 1; i < n - 1; i++)
            for (int j = 1; j < n - 1; j++)
                A[i][j] = (A[i - 1][j - 1] + A[i - 1][j] + A[i - 1][j + 1] + A[i][j - 1] + A[i][j] +
                           A[i][j + 1] + A[i + 1][j - 1] + A[i + 1][j] + A[i + 1][j + 1]) /
                          9.0;
}

CHECKSUM_F64(void) { return sum_matrix(&A[0][0], size, size, MAX); }
