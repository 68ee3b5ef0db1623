// SPDX-License-Identifier: Apache-2.0
// C = alpha*A*A^T + beta*C on the lower triangle: loop bounds depend on the outer index.
#include "bench.h"

#define MAX 320
static double A[MAX][MAX], C[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = (double)((i * j + 1) % n) / n;
            C[i][j] = (double)((i * j + 2) % n) / n;
        }
}

RUN(int n)
{
    const double alpha = 1.5, beta = 1.2;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++)
            C[i][j] *= beta;
        for (int k = 0; k < n; k++)
            for (int j = 0; j <= i; j++)
                C[i][j] += alpha * A[i][k] * A[j][k];
    }
}

CHECKSUM_F64(void) { return sum_matrix(&C[0][0], size, size, MAX); }
