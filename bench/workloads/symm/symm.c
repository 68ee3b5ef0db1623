// SPDX-License-Identifier: Apache-2.0
// C = alpha*A*B + beta*C with a symmetric A of which the lower triangle is stored.
#include "bench.h"

#define MAX 360
static double A[MAX][MAX], B[MAX][MAX], C[MAX][MAX], T[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            A[i][j] = j <= i ? (double)((i + j) % 100) / n : -999.0;
            B[i][j] = (double)((n + i - j) % 100) / n;
            C[i][j] = (double)((i + j) % 100) / n;
        }
}

RUN(int n)
{
    const double alpha = 1.5, beta = 1.2;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            T[j] = 0.0;
        for (int k = 0; k < i; k++) {
            double a = A[i][k];
            for (int j = 0; j < n; j++) {
                C[k][j] += alpha * B[i][j] * a;
                T[j] += B[k][j] * a;
            }
        }
        for (int j = 0; j < n; j++)
            C[i][j] = beta * C[i][j] + alpha * B[i][j] * A[i][i] + alpha * T[j];
    }
}

CHECKSUM_F64(void) { return sum_matrix(&C[0][0], size, size, MAX); }
