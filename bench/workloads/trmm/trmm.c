// SPDX-License-Identifier: Apache-2.0
// B = alpha*A^T*B with a unit lower triangular A.
#include "bench.h"

#define MAX 420
static double A[MAX][MAX], B[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = i == j ? 1.0 : (double)((i + j) % n) / n;
            B[i][j] = (double)((n + i - j) % n) / n;
        }
}

RUN(int n)
{
    const double alpha = 1.5;
    for (int i = 0; i < n; i++) {
        for (int k = i + 1; k < n; k++)
            for (int j = 0; j < n; j++)
                B[i][j] += A[k][i] * B[k][j];
        for (int j = 0; j < n; j++)
            B[i][j] *= alpha;
    }
}

CHECKSUM_F64(void) { return sum_matrix(&B[0][0], size, size, MAX); }
