// SPDX-License-Identifier: Apache-2.0
// LU in dot-product order (Doolittle), then forward and backward substitution.
#include "bench.h"

#define MAX 320
static double A[MAX][MAX], b[MAX], x[MAX], y[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++) {
        b[i] = (double)(i + 1) / n / 2 + 4;
        for (int j = 0; j < n; j++)
            A[i][j] = i == j ? n : (double)((i * 5 + j * 11) % 19) / 19;
    }
}

RUN(int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            double w = A[i][j];
            for (int k = 0; k < j; k++)
                w -= A[i][k] * A[k][j];
            A[i][j] = w / A[j][j];
        }
        for (int j = i; j < n; j++) {
            double w = A[i][j];
            for (int k = 0; k < i; k++)
                w -= A[i][k] * A[k][j];
            A[i][j] = w;
        }
    }
    for (int i = 0; i < n; i++) {
        double w = b[i];
        for (int j = 0; j < i; j++)
            w -= A[i][j] * y[j];
        y[i] = w;
    }
    for (int i = n - 1; i >= 0; i--) {
        double w = y[i];
        for (int j = i + 1; j < n; j++)
            w -= A[i][j] * x[j];
        x[i] = w / A[i][i];
    }
}

CHECKSUM_F64(void) { return sum_vector(x, size) + sum_matrix(&A[0][0], size, size, MAX); }
