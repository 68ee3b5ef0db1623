// SPDX-License-Identifier: Apache-2.0
// Three-point stencil in one dimension, two buffers, in-cache: pure vector throughput.
#include "bench.h"

#define MAX 4000
#define STEPS 8000
static double A[MAX], B[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        A[i] = (double)(i + 2) / n;
        B[i] = (double)(i + 3) / n;
    }
}

RUN(int n)
{
    for (int t = 0; t < STEPS; t++) {
        for (int i = 1; i < n - 1; i++)
            B[i] = 0.33333 * (A[i - 1] + A[i] + A[i + 1]);
        for (int i = 1; i < n - 1; i++)
            A[i] = 0.33333 * (B[i - 1] + B[i] + B[i + 1]);
    }
}

CHECKSUM_F64(void) { return sum_vector(A, size); }
