// SPDX-License-Identifier: Apache-2.0
// A = L*U in place without pivoting, in right-looking (outer-product) order: vectorises.
#include "bench.h"

#define MAX 400
static double A[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            A[i][j] = i == j ? n : (double)((i * 7 + j * 3) % 17) / 17;
}

RUN(int n)
{
    for (int k = 0; k < n; k++)
        for (int i = k + 1; i < n; i++) {
            A[i][k] /= A[k][k];
            for (int j = k + 1; j < n; j++)
                A[i][j] -= A[i][k] * A[k][j];
        }
}

CHECKSUM_F64(void) { return sum_matrix(&A[0][0], size, size, MAX); }
