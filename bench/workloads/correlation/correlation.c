// SPDX-License-Identifier: Apache-2.0
// Correlation matrix of n variables over n observations: means, deviations with a square root and
// a select, then column dot products.
#include "bench.h"

#define MAX 260
static double data[MAX][MAX], corr[MAX][MAX], mean[MAX], deviation[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            data[i][j] = (double)(i * j) / n + i + (i * 7 + j * 5) % 13;
}

RUN(int n)
{
    for (int j = 0; j < n; j++) {
        double sum = 0.0, squares = 0.0;
        for (int i = 0; i < n; i++)
            sum += data[i][j];
        mean[j] = sum / n;
        for (int i = 0; i < n; i++)
            squares += (data[i][j] - mean[j]) * (data[i][j] - mean[j]);
        double root = __builtin_sqrt(squares / n);
        deviation[j] = root <= 0.1 ? 1.0 : root;
    }
    double root_n = __builtin_sqrt((double)n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            data[i][j] = (data[i][j] - mean[j]) / (root_n * deviation[j]);
    for (int i = 0; i < n; i++) {
        corr[i][i] = 1.0;
        for (int j = i + 1; j < n; j++) {
            double sum = 0.0;
            for (int k = 0; k < n; k++)
                sum += data[k][i] * data[k][j];
            corr[i][j] = corr[j][i] = sum;
        }
    }
}

CHECKSUM_F64(void) { return sum_matrix(&corr[0][0], size, size, MAX); }
