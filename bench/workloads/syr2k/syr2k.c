// SPDX-License-Identifier: Apache-2.0
// C = alpha*(A*B^T + B*A^T) + beta*C on the lower triangle, with strided operands.
#include "bench.h"

#define MAX 240
static double A[MAX][MAX], B[MAX][MAX], C[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = (double)((i * j + 1) % n) / n;
            B[i][j] = (double)((i * j + 2) % n) / n;
            C[i][j] = (double)((i * j + 3) % n) / n;
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
                C[i][j] += A[j][k] * alpha * B[i][k] + B[j][k] * alpha * A[i][k];
    }
}

CHECKSUM_F64(void) { return sum_matrix(&C[0][0], size, size, MAX); }
