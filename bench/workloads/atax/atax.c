// SPDX-License-Identifier: Apache-2.0
// x <- normalised A^T*(A*x), repeated (a power iteration). Matrix-vector: one row-wise reduction
// and one row-wise update for each row.
#include "bench.h"

#define MAX 400
#define PASSES 60
static double A[MAX][MAX], x[MAX], y[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        x[i] = 1 + (double)i / n;
        for (int j = 0; j < n; j++)
            A[i][j] = (double)((i + j) % n) / (5 * n);
    }
}

RUN(int n)
{
    for (int pass = 0; pass < PASSES; pass++) {
        for (int j = 0; j < n; j++)
            y[j] = 0.0;
        for (int i = 0; i < n; i++) {
            double dot = 0.0;
            for (int j = 0; j < n; j++)
                dot += A[i][j] * x[j];
            for (int j = 0; j < n; j++)
                y[j] += A[i][j] * dot;
        }
        double scale = 1.0 / y[0];
        for (int j = 0; j < n; j++)
            x[j] = y[j] * scale;
    }
}

CHECKSUM_F64(void) { return sum_vector(x, size); }
