// SPDX-License-Identifier: Apache-2.0
// Radix-2 complex FFT of 2^n points, forward and back: bit reversal, strided butterflies.
#include "bench.h"

#define MAX 16
#define PI 3.14159265358979323846
static double re[1 << MAX], im[1 << MAX], cosine[1 << MAX], sine[1 << MAX];
static int size;

INIT(int n)
{
    size = 1 << n;
    // Twiddle factors by repeated halving of the angle: no libm.
    double c = -1.0, s = 0.0;
    cosine[0] = 1.0, sine[0] = 0.0;
    for (int half = size / 2; half >= 1; half /= 2) {
        for (int i = half; i < size; i += 2 * half) {
            int before = i - half;
            cosine[i] = cosine[before] * c - sine[before] * s;
            sine[i] = sine[before] * c + cosine[before] * s;
        }
        double next = __builtin_sqrt((1.0 + c) / 2);
        s = half == size / 2 ? 1.0 : s / (2 * next);
        c = next;
    }
    for (int i = 0; i < size; i++) {
        re[i] = (double)(i * 7 % 100) / 100;
        im[i] = (double)(i * 3 % 50) / 50;
    }
}

static NOINLINE void transform(int n, double direction)
{
    for (int i = 1, j = 0; i < n; i++) {
        int bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            double t = re[i];
            re[i] = re[j], re[j] = t;
            t = im[i];
            im[i] = im[j], im[j] = t;
        }
    }
    for (int length = 2; length <= n; length *= 2) {
        int half = length / 2, step = n / length;
        for (int start = 0; start < n; start += length)
            for (int k = 0; k < half; k++) {
                double wr = cosine[k * step], wi = direction * sine[k * step];
                int a = start + k, b = a + half;
                double xr = re[b] * wr - im[b] * wi, xi = re[b] * wi + im[b] * wr;
                re[b] = re[a] - xr, im[b] = im[a] - xi;
                re[a] += xr, im[a] += xi;
            }
    }
}

RUN(int n)
{
    int points = 1 << n;
    for (int pass = 0; pass < 3; pass++) {
        transform(points, -1.0);
        transform(points, 1.0);
        for (int i = 0; i < points; i++) {
            re[i] /= points;
            im[i] /= points;
        }
    }
    transform(points, -1.0);
}

CHECKSUM_F64(void) { return sum_vector(re, size) + 3 * sum_vector(im, size); }
