// SPDX-License-Identifier: Apache-2.0
// Five-point stencil in two dimensions, two buffers.
#include "bench.h"

#define MAX 260
#define STEPS 200
static double A[MAX][MAX], B[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = (double)(i * (j + 2) + 2) / n;
            B[i][j] = (double)(i * (j + 3) + 3) / n;
        }
}

static inline void step(int n, double (*to)[MAX], double (*from)[MAX])
{
    for (int i = 1; i < n - 1; i++)
        for (int j = 1; j < n - 1; j++)
            to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i + 1][j] +
                              from[i - 1][j]);
}

RUN(int n)
{
    for (int t = 0; t < STEPS; t++) {
        step(n, B, A);
        step(n, A, B);
    }
}

CHECKSUM_F64(void) { return sum_matrix(&A[0][0], size, size, MAX); }
