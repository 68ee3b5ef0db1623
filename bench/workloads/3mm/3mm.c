// SPDX-License-Identifier: Apache-2.0
// G = (A*B)*(C*D): three products through one function that takes pointers, so nothing but the
// run-time check tells the vectoriser that the matrices are distinct.
#include "bench.h"

#define MAX 240
typedef double Matrix[MAX][MAX];
static Matrix A, B, C, D, E, F, G;
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = (double)((i * j + 1) % n) / (5 * n);
            B[i][j] = (double)((i * (j + 1) + 2) % n) / (5 * n);
            C[i][j] = (double)(i * (j + 3) % n) / (5 * n);
            D[i][j] = (double)((i * (j + 2) + 2) % n) / (5 * n);
        }
}

static NOINLINE void multiply(int n, double (*to)[MAX], double (*a)[MAX], double (*b)[MAX])
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            to[i][j] = 0.0;
        for (int k = 0; k < n; k++)
            for (int j = 0; j < n; j++)
                to[i][j] += a[i][k] * b[k][j];
    }
}

RUN(int n)
{
    multiply(n, E, A, B);
    multiply(n, F, C, D);
    multiply(n, G, E, F);
}

CHECKSUM_F64(void) { return sum_matrix(&G[0][0], size, size, MAX); }
