// SPDX-License-Identifier: Apache-2.0
// Seven-point heat equation in three dimensions.
#include "bench.h"

#define MAX 64
#define STEPS 40
static double A[MAX][MAX][MAX], B[MAX][MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < n; k++)
                A[i][j][k] = B[i][j][k] = (double)(i + j + (n - k)) * 10 / n;
}

static inline void step(int n, double (*to)[MAX][MAX], double (*a)[MAX][MAX])
{
    for (int i = 1; i < n - 1; i++)
        for (int j = 1; j < n - 1; j++)
            for (int k = 1; k < n - 1; k++)
                to[i][j][k] =
                    0.125 * (a[i + 1][j][k] - 2.0 * a[i][j][k] + a[i - 1][j][k]) +
                    0.125 * (a[i][j + 1][k] - 2.0 * a[i][j][k] + a[i][j - 1][k]) +
                    0.125 * (a[i][j][k + 1] - 2.0 * a[i][j][k] + a[i][j][k - 1]) + a[i][j][k];
}

RUN(int n)
{
    for (int t = 0; t < STEPS; t++) {
        step(n, B, A);
        step(n, A, B);
    }
}

CHECKSUM_F64(void) { return sum_matrix(&A[0][0][0], size * MAX, size, MAX); }
