// SPDX-License-Identifier: Apache-2.0
// Alternating-direction implicit heat equation: tridiagonal solves along columns, then along rows.
// Recurrences and divisions in the innermost loops.
#include "bench.h"

#define MAX 200
#define STEPS 12
static double u[MAX][MAX], v[MAX][MAX], p[MAX][MAX], q[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            u[i][j] = (double)(i + n - j) / n;
}

RUN(int n)
{
    const double dx = 1.0 / n, dt = 1.0 / STEPS;
    const double mul = dt / (dx * dx), half = mul / 2;
    const double a = -half, b = 1.0 + mul, c = a, d = a, e = b, f = a;

    for (int t = 0; t < STEPS; t++) {
        for (int i = 1; i < n - 1; i++) {
            v[0][i] = 1.0;
            p[i][0] = 0.0;
            q[i][0] = v[0][i];
            for (int j = 1; j < n - 1; j++) {
                double denominator = a * p[i][j - 1] + b;
                p[i][j] = -c / denominator;
                q[i][j] = (-d * u[j][i - 1] + (1.0 + 2.0 * d) * u[j][i] - f * u[j][i + 1] -
                           a * q[i][j - 1]) /
                          denominator;
            }
            v[n - 1][i] = 1.0;
            for (int j = n - 2; j >= 1; j--)
                v[j][i] = p[i][j] * v[j + 1][i] + q[i][j];
        }
        for (int i = 1; i < n - 1; i++) {
            u[i][0] = 1.0;
            p[i][0] = 0.0;
            q[i][0] = u[i][0];
            for (int j = 1; j < n - 1; j++) {
                double denominator = d * p[i][j - 1] + e;
                p[i][j] = -f / denominator;
                q[i][j] = (-a * v[i - 1][j] + (1.0 + 2.0 * a) * v[i][j] - c * v[i + 1][j] -
                           d * q[i][j - 1]) /
                          denominator;
            }
            u[i][n - 1] = 1.0;
            for (int j = n - 2; j >= 1; j--)
                u[i][j] = p[i][j] * u[i][j + 1] + q[i][j];
        }
    }
}

CHECKSUM_F64(void) { return sum_matrix(&u[0][0], size, size, MAX); }
