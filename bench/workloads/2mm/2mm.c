// SPDX-License-Identifier: Apache-2.0
// D = alpha*A*B*C + beta*D, as two products in dot-product order: the innermost loop walks down a
// column (large stride) and reduces, so it does not vectorise without reassociation.
#include "bench.h"

#define MAX 240
static double A[MAX][MAX], B[MAX][MAX], C[MAX][MAX], D[MAX][MAX], T[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = (double)((i * j + 1) % 9) / 9;
            B[i][j] = (double)(i * (j + 1) % 10) / 10;
            C[i][j] = (double)((i * (j + 3) + 1) % 11) / 11;
            D[i][j] = (double)(i * (j + 2) % 12) / 12;
        }
}

RUN(int n)
{
    const double alpha = 1.5, beta = 1.2;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0.0;
            for (int k = 0; k < n; k++)
                sum += alpha * A[i][k] * B[k][j];
            T[i][j] = sum;
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = D[i][j] * beta;
            for (int k = 0; k < n; k++)
                sum += T[i][k] * C[k][j];
            D[i][j] = sum;
        }
}

CHECKSUM_F64(void) { return sum_matrix(&D[0][0], size, size, MAX); }
