// SPDX-License-Identifier: Apache-2.0
// Rank-two update of A, then two matrix-vector products with it (BLAS: gemver), repeated.
#include "bench.h"

#define MAX 400
#define PASSES 16
static double A[MAX][MAX], u1[MAX], v1[MAX], u2[MAX], v2[MAX], w[MAX], x[MAX], y[MAX], z[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        u1[i] = (double)i / n;
        u2[i] = (double)(i + 1) / n / 2;
        v1[i] = (double)(i + 1) / n / 4;
        v2[i] = (double)(i + 1) / n / 6;
        y[i] = (double)(i + 1) / n / 8;
        z[i] = (double)(i + 1) / n / 9;
        w[i] = x[i] = 0.0;
        for (int j = 0; j < n; j++)
            A[i][j] = (double)(i * j % n) / n;
    }
}

RUN(int n)
{
    const double alpha = 0.015, beta = 0.012;
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                A[i][j] = A[i][j] + u1[i] * v1[j] + u2[i] * v2[j];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                x[i] = x[i] + beta * A[j][i] * y[j];
        for (int i = 0; i < n; i++)
            x[i] = x[i] + z[i];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                w[i] = w[i] + alpha * A[i][j] * x[j];
    }
}

CHECKSUM_F64(void) { return sum_vector(w, size); }
