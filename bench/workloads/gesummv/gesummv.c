// SPDX-License-Identifier: Apache-2.0
// y = alpha*A*x + beta*B*x, repeated with x <- y scaled: two reductions in one loop.
#include "bench.h"

#define MAX 400
#define PASSES 40
static double A[MAX][MAX], B[MAX][MAX], x[MAX], y[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        x[i] = (double)(i % n) / n;
        for (int j = 0; j < n; j++) {
            A[i][j] = (double)((i * j + 1) % n) / n;
            B[i][j] = (double)((i * j + 2) % n) / n;
        }
    }
}

RUN(int n)
{
    const double alpha = 1.5, beta = 1.2;
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < n; i++) {
            double a = 0.0, b = 0.0;
            for (int j = 0; j < n; j++) {
                a += A[i][j] * x[j];
                b += B[i][j] * x[j];
            }
            y[i] = alpha * a + beta * b;
        }
        double scale = 1.0 / y[n - 1];
        for (int i = 0; i < n; i++)
            x[i] = y[i] * scale;
    }
}

CHECKSUM_F64(void) { return sum_vector(y, size); }
