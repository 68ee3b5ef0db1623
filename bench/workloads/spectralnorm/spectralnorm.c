// SPDX-License-Identifier: Apache-2.0
// Largest singular value of the matrix 1/((i+j)(i+j+1)/2+i+1): divisions of converted integers.
#include "bench.h"

#define MAX 1000
static double u[MAX], v[MAX], t[MAX], result;

INIT(int n)
{
    for (int i = 0; i < n; i++)
        u[i] = 1.0;
}

static inline double element(int i, int j)
{
    return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1);
}

static NOINLINE void multiply(int n, double *to, const double *from)
{
    for (int i = 0; i < n; i++) {
        double sum = 0.0;
        for (int j = 0; j < n; j++)
            sum += element(i, j) * from[j];
        to[i] = sum;
    }
}

static NOINLINE void multiply_transposed(int n, double *to, const double *from)
{
    for (int i = 0; i < n; i++) {
        double sum = 0.0;
        for (int j = 0; j < n; j++)
            sum += element(j, i) * from[j];
        to[i] = sum;
    }
}

RUN(int n)
{
    for (int step = 0; step < 6; step++) {
        multiply(n, t, u);
        multiply_transposed(n, v, t);
        multiply(n, t, v);
        multiply_transposed(n, u, t);
    }
    double uv = 0.0, vv = 0.0;
    for (int i = 0; i < n; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    result = __builtin_sqrt(uv / vv);
}

CHECKSUM_F64(void) { return result; }
