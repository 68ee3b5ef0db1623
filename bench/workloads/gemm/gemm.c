// SPDX-License-Identifier: Apache-2.0
// C = alpha*A*B + beta*C. Linear algebra: three nested loops with a contiguous innermost one;
// vectorises, and shows whether the address of B[k][j] is strength-reduced.
#include "bench.h"

#define MAX 384
static double A[MAX][MAX], B[MAX][MAX], C[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = (double)(i * j % 11 + 1) / 11;
            B[i][j] = (double)(i * (j + 2) % 13) / 13;
            C[i][j] = (double)((i + j) % 7) / 7;
        }
}

RUN(int n)
{
    const double alpha = 1.5, beta = 1.2;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            C[i][j] *= beta;
        for (int k = 0; k < n; k++) {
            double a = alpha * A[i][k];
            for (int j = 0; j < n; j++)
                C[i][j] += a * B[k][j];
        }
    }
}

CHECKSUM_F64(void) { return sum_matrix(&C[0][0], size, size, MAX); }
