// SPDX-License-Identifier: Apache-2.0
// QR by modified Gram-Schmidt: column-wise reductions with the stride of a row.
#include "bench.h"

#define MAX 200
static double A[MAX][MAX], R[MAX][MAX], Q[MAX][MAX];
static int size;

INIT(int n)
{
    uint32_t seed = 12345;
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = random_f64(&seed) * 100 + 10;
            Q[i][j] = R[i][j] = 0.0;
        }
}

RUN(int n)
{
    for (int k = 0; k < n; k++) {
        double norm = 0.0;
        for (int i = 0; i < n; i++)
            norm += A[i][k] * A[i][k];
        R[k][k] = __builtin_sqrt(norm);
        for (int i = 0; i < n; i++)
            Q[i][k] = A[i][k] / R[k][k];
        for (int j = k + 1; j < n; j++) {
            double dot = 0.0;
            for (int i = 0; i < n; i++)
                dot += Q[i][k] * A[i][j];
            R[k][j] = dot;
            for (int i = 0; i < n; i++)
                A[i][j] -= Q[i][k] * dot;
        }
    }
}

CHECKSUM_F64(void)
{
    return sum_matrix(&R[0][0], size, size, MAX) + sum_matrix(&Q[0][0], size, size, MAX);
}
