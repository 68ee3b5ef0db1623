// SPDX-License-Identifier: Apache-2.0
// A[r][q][*] <- A[r][q][*] * B for every r and q: many small vector-matrix products.
#include "bench.h"

#define MAX 96
static double A[MAX][MAX][MAX], B[MAX][MAX], sum[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int r = 0; r < n; r++)
        for (int q = 0; q < n; q++)
            for (int p = 0; p < n; p++)
                A[r][q][p] = (double)((r * q + p) % n) / n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            B[i][j] = (double)(i * j % n) / n;
}

RUN(int n)
{
    for (int r = 0; r < n; r++)
        for (int q = 0; q < n; q++) {
            for (int p = 0; p < n; p++)
                sum[p] = 0.0;
            for (int s = 0; s < n; s++)
                for (int p = 0; p < n; p++)
                    sum[p] += A[r][q][s] * B[s][p];
            for (int p = 0; p < n; p++)
                A[r][q][p] = sum[p];
        }
}

CHECKSUM_F64(void) { return sum_matrix(&A[0][0][0], size * MAX, size, MAX); }
