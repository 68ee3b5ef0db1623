// SPDX-License-Identifier: Apache-2.0
// Escape times of an n by n grid: a short floating-point loop with a data-dependent exit.
#include "bench.h"

#define MAX 440
static uint8_t image[MAX][MAX];
static int size;

INIT(int n) { size = n; }

RUN(int n)
{
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++) {
            double cr = 3.0 * x / n - 2.25, ci = 3.0 * y / n - 1.5;
            double zr = 0.0, zi = 0.0;
            int step = 0;
            while (step < 100 && zr * zr + zi * zi <= 4.0) {
                double t = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = t;
                step++;
            }
            image[y][x] = (uint8_t)step;
        }
}

CHECKSUM_F64(void)
{
    double sum = 0.0;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++)
            sum += image[y][x] * (1 + ((3 * y + x) & 7));
    return sum;
}
