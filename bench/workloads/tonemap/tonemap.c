// SPDX-License-Identifier: Apache-2.0
// f32 image to bytes: minimum, maximum, rounding, square root, conversions between floats and
// integers with clamping; the operations whose wasm semantics differ from the hardware's.
#include "bench.h"

#define MAX 700
static float image[MAX * MAX * 3];
static uint8_t bytes[MAX * MAX * 3];
static double mean;
static int count;

INIT(int n)
{
    uint32_t seed = 97u;
    count = n * n * 3;
    for (int i = 0; i < count; i++)
        image[i] = (float)(random_f64(&seed) * 4.0 - 0.5);
}

static inline float clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

RUN(int n)
{
    int total = n * n * 3;
    double sum = 0.0;
    for (int i = 0; i < total; i++)
        sum += clamp(image[i], 0.0f, 8.0f);
    mean = sum / total;
    for (int pass = 0; pass < 8; pass++) {
        float exposure = (float)((0.5 + 0.1 * pass) / mean);
        for (int i = 0; i < total; i++) {
            float x = clamp(image[i] * exposure, 0.0f, 8.0f);
            float mapped = x * (1.0f + x / 16.0f) / (1.0f + x);
            bytes[i] = (uint8_t)(int)(__builtin_sqrtf(mapped) * 255.0f + 0.5f);
        }
        for (int i = 0; i < total; i++) {
            float back = (float)bytes[i] / 255.0f;
            float level = __builtin_floorf(back * back * 16.0f);
            bytes[i] = (uint8_t)((int)level * 15 + (bytes[i] & 15));
        }
    }
}

CHECKSUM_F64(void)
{
    double sum = mean;
    for (int i = 0; i < count; i++)
        sum += bytes[i] * (double)(1 + (i & 7));
    return sum;
}
