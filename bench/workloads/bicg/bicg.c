// SPDX-License-Identifier: Apache-2.0
// s = A^T*r and q = A*p in one sweep over A, the core of BiCG; the results are fed back.
#include "bench.h"

#define MAX 400
#define PASSES 60
static double A[MAX][MAX], s[MAX], q[MAX], p[MAX], r[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        p[i] = (double)(i % n) / n;
        r[i] = (double)((i + 1) % n) / n;
        for (int j = 0; j < n; j++)
            A[i][j] = (double)(i * (j + 1) % n) / n;
    }
}

RUN(int n)
{
    for (int pass = 0; pass < PASSES; pass++) {
        for (int j = 0; j < n; j++)
            s[j] = 0.0;
        for (int i = 0; i < n; i++) {
            double dot = 0.0;
            for (int j = 0; j < n; j++) {
                s[j] += r[i] * A[i][j];
                dot += A[i][j] * p[j];
            }
            q[i] = dot;
        }
        double scale_p = 1.0 / (1.0 + s[n / 2]), scale_r = 1.0 / (1.0 + q[n / 2]);
        for (int j = 0; j < n; j++) {
            p[j] = s[j] * scale_p;
            r[j] = q[j] * scale_r;
        }
    }
}

CHECKSUM_F64(void) { return sum_vector(s, size) + sum_vector(q, size); }
