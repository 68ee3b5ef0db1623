// SPDX-License-Identifier: Apache-2.0
// x1 += A*y1, x2 += A^T*y2, repeated. The transposed product walks down columns.
#include "bench.h"

#define MAX 400
#define PASSES 24
static double A[MAX][MAX], x1[MAX], x2[MAX], y1[MAX], y2[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        x1[i] = (double)(i % n) / n;
        x2[i] = (double)((i + 1) % n) / n;
        y1[i] = (double)((i + 3) % n) / n;
        y2[i] = (double)((i + 4) % n) / n;
        for (int j = 0; j < n; j++)
            A[i][j] = (double)(i * j % n) / n;
    }
}

RUN(int n)
{
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                x1[i] = x1[i] + A[i][j] * y1[j];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                x2[i] = x2[i] + A[j][i] * y2[j];
    }
}

CHECKSUM_F64(void) { return sum_vector(x1, size) + sum_vector(x2, size); }
