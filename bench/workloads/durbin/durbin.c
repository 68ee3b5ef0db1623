// SPDX-License-Identifier: Apache-2.0
// Levinson-Durbin recursion for a Toeplitz system, repeated with rising weights on the diagonal.
#include "bench.h"

#define MAX 2000
static double r[MAX], y[MAX], z[MAX], result[MAX];
static int size;
#define PASSES 12

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        r[i] = 0.5 / (i + 1);
        result[i] = 0.0;
    }
}

RUN(int n)
{
    for (int pass = 0; pass < PASSES; pass++) {
        double beta = 1.0, alpha = -r[0] / (1 + pass);
        y[0] = alpha;
        for (int k = 1; k < n; k++) {
            beta = (1 - alpha * alpha) * beta;
            double sum = 0.0;
            for (int i = 0; i < k; i++)
                sum += r[k - i - 1] * y[i];
            alpha = -(r[k] + sum) / beta;
            for (int i = 0; i < k; i++)
                z[i] = y[i] + alpha * y[k - i - 1];
            for (int i = 0; i < k; i++)
                y[i] = z[i];
            y[k] = alpha;
        }
        for (int i = 0; i < n; i++)
            result[i] += y[i];
    }
}

CHECKSUM_F64(void) { return sum_vector(result, size); }
