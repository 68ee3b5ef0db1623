// SPDX-License-Identifier: Apache-2.0
// Deriche's recursive edge filter on an image of f32: forward and backward recurrences along rows,
// then along columns.
#include "bench.h"

#define MAX 900
static float image[MAX][MAX], out[MAX][MAX], y1[MAX][MAX], y2[MAX][MAX];
static int size;

INIT(int n)
{
    size = n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            image[i][j] = (float)((313 * i + 991 * j) % 65536) / 65535.0f;
}

// e^x for small |x|: the coefficients need it and there is no libm here.
static float exponential(float x)
{
    float term = 1.0f, sum = 1.0f;
    for (int i = 1; i < 20; i++) {
        term *= x / (float)i;
        sum += term;
    }
    return sum;
}

RUN(int n)
{
    const float alpha = 0.25f;
    float e = exponential(-alpha), e2 = exponential(-2.0f * alpha);
    float k = (1.0f - e) * (1.0f - e) / (1.0f + 2.0f * alpha * e - e2);
    float a1 = k, a2 = k * e * (alpha - 1.0f), a3 = k * e * (alpha + 1.0f), a4 = -k * e2;
    float b1 = 2.0f * e, b2 = -e2;

    for (int i = 0; i < n; i++) {
        float previous = 0.0f, last1 = 0.0f, last2 = 0.0f;
        for (int j = 0; j < n; j++) {
            y1[i][j] = a1 * image[i][j] + a2 * previous + b1 * last1 + b2 * last2;
            previous = image[i][j];
            last2 = last1;
            last1 = y1[i][j];
        }
        float next1 = 0.0f, next2 = 0.0f;
        last1 = last2 = 0.0f;
        for (int j = n - 1; j >= 0; j--) {
            y2[i][j] = a3 * next1 + a4 * next2 + b1 * last1 + b2 * last2;
            next2 = next1;
            next1 = image[i][j];
            last2 = last1;
            last1 = y2[i][j];
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            out[i][j] = y1[i][j] + y2[i][j];
    for (int j = 0; j < n; j++) {
        float previous = 0.0f, last1 = 0.0f, last2 = 0.0f;
        for (int i = 0; i < n; i++) {
            y1[i][j] = a1 * out[i][j] + a2 * previous + b1 * last1 + b2 * last2;
            previous = out[i][j];
            last2 = last1;
            last1 = y1[i][j];
        }
        float next1 = 0.0f, next2 = 0.0f;
        last1 = last2 = 0.0f;
        for (int i = n - 1; i >= 0; i--) {
            y2[i][j] = a3 * next1 + a4 * next2 + b1 * last1 + b2 * last2;
            next2 = next1;
            next1 = out[i][j];
            last2 = last1;
            last1 = y2[i][j];
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            out[i][j] = y1[i][j] + y2[i][j];
}

CHECKSUM_F64(void)
{
    double sum = 0.0;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            sum += out[i][j] * (1 + ((3 * i + j) & 7));
    return sum;
}
