// SPDX-License-Identifier: Apache-2.0
// Finite-difference time domain: three coupled fields, each updated by a two-point stencil.
#include "bench.h"

#define MAX 260
#define STEPS 120
static double ex[MAX][MAX], ey[MAX][MAX], hz[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            ex[i][j] = (double)(i * (j + 1)) / n;
            ey[i][j] = (double)(i * (j + 2)) / n;
            hz[i][j] = (double)(i * (j + 3)) / n;
        }
}

RUN(int n)
{
    for (int t = 0; t < STEPS; t++) {
        for (int j = 0; j < n; j++)
            ey[0][j] = (double)t;
        for (int i = 1; i < n; i++)
            for (int j = 0; j < n; j++)
                ey[i][j] = ey[i][j] - 0.5 * (hz[i][j] - hz[i - 1][j]);
        for (int i = 0; i < n; i++)
            for (int j = 1; j < n; j++)
                ex[i][j] = ex[i][j] - 0.5 * (hz[i][j] - hz[i][j - 1]);
        for (int i = 0; i < n - 1; i++)
            for (int j = 0; j < n - 1; j++)
                hz[i][j] = hz[i][j] - 0.7 * (ex[i][j + 1] - ex[i][j] + ey[i + 1][j] - ey[i][j]);
    }
}

CHECKSUM_F64(void)
{
    return sum_matrix(&ex[0][0], size, size, MAX) + sum_matrix(&ey[0][0], size, size, MAX) +
           sum_matrix(&hz[0][0], size, size, MAX);
}
