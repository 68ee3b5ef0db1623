// SPDX-License-Identifier: Apache-2.0
// A = L*L^T in place, row by row: triangular reductions, one square root per row.
#include "bench.h"

#define MAX 400
static double A[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            A[i][j] = i == j ? n : 1.0 / (1 + (i > j ? i - j : j - i));
}

RUN(int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                A[i][j] -= A[i][k] * A[j][k];
            A[i][j] /= A[j][j];
        }
        for (int k = 0; k < i; k++)
            A[i][i] -= A[i][k] * A[i][k];
        A[i][i] = __builtin_sqrt(A[i][i]);
    }
}

CHECKSUM_F64(void) { return sum_matrix(&A[0][0], size, size, MAX); }
