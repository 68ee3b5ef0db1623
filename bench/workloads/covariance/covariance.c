// SPDX-License-Identifier: Apache-2.0
// Covariance matrix of n variables over n observations, accumulated row by row (vectorises).
#include "bench.h"

#define MAX 460
static double data[MAX][MAX], cov[MAX][MAX], mean[MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            data[i][j] = (double)(i * j % 23) / n;
}

RUN(int n)
{
    for (int j = 0; j < n; j++)
        mean[j] = 0.0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            mean[j] += data[i][j] / n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            data[i][j] -= mean[j];
    for (int i = 0; i < n; i++) {
        for (int j = i; j < n; j++)
            cov[i][j] = 0.0;
        for (int k = 0; k < n; k++)
            for (int j = i; j < n; j++)
                cov[i][j] += data[k][i] * data[k][j];
        for (int j = i; j < n; j++) {
            cov[i][j] /= n - 1.0;
            cov[j][i] = cov[i][j];
        }
    }
}

CHECKSUM_F64(void) { return sum_matrix(&cov[0][0], size, size, MAX); }
