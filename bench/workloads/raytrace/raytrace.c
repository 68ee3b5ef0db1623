// SPDX-License-Identifier: Apache-2.0
// A small ray tracer: spheres over a plane, shadows, mirror recursion; structures passed and
// returned through the shadow stack.
#include "bench.h"

#define MAX 300
#define SPHERES 8
typedef struct {
    double x, y, z;
} Vec;
typedef struct {
    Vec center;
    double radius, shine;
    Vec color;
} Sphere;

static Sphere spheres[SPHERES];
static uint8_t image[MAX][MAX][3];
static int size;

static inline Vec vec(double x, double y, double z) { return (Vec){x, y, z}; }
static inline Vec add(Vec a, Vec b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
static inline Vec sub(Vec a, Vec b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
static inline Vec scale(Vec a, double s) { return vec(a.x * s, a.y * s, a.z * s); }
static inline double dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static inline Vec unit(Vec a) { return scale(a, 1.0 / __builtin_sqrt(dot(a, a))); }

INIT(int n)
{
    uint32_t seed = 777u;
    size = n;
    for (int i = 0; i < SPHERES; i++) {
        spheres[i].center = vec(random_f64(&seed) * 8 - 4, random_f64(&seed) * 2 + 0.2,
                                random_f64(&seed) * 6 + 4);
        spheres[i].radius = 0.4 + random_f64(&seed) * 0.8;
        spheres[i].shine = random_f64(&seed) * 0.6;
        spheres[i].color = vec(random_f64(&seed), random_f64(&seed), random_f64(&seed));
    }
}

// Distance along the ray to the nearest sphere, or a negative number.
static NOINLINE double hit(Vec from, Vec direction, int *which)
{
    double nearest = -1.0;
    for (int i = 0; i < SPHERES; i++) {
        Vec to = sub(from, spheres[i].center);
        double b = dot(to, direction);
        double d = b * b - dot(to, to) + spheres[i].radius * spheres[i].radius;
        if (d <= 0)
            continue;
        double t = -b - __builtin_sqrt(d);
        if (t > 1e-4 && (nearest < 0 || t < nearest)) {
            nearest = t;
            *which = i;
        }
    }
    return nearest;
}

static NOINLINE Vec trace(Vec from, Vec direction, int depth)
{
    const Vec light = {0.408248, 0.816497, -0.408248};
    int which = 0, unused = 0;
    double t = hit(from, direction, &which);
    Vec at, normal, color;
    double shine;
    if (t > 0) {
        at = add(from, scale(direction, t));
        normal = unit(sub(at, spheres[which].center));
        color = spheres[which].color;
        shine = spheres[which].shine;
    } else if (direction.y < -1e-6) {
        t = (-1.0 - from.y) / direction.y;
        at = add(from, scale(direction, t));
        normal = vec(0, 1, 0);
        int odd = ((int)__builtin_floor(at.x) + (int)__builtin_floor(at.z)) & 1;
        color = odd ? vec(0.9, 0.9, 0.9) : vec(0.2, 0.2, 0.2);
        shine = 0.1;
    } else {
        return vec(0.3 + 0.4 * direction.y, 0.5, 0.9);
    }
    double shade = dot(normal, light);
    if (shade < 0 || hit(at, light, &unused) > 0)
        shade = 0;
    color = scale(color, 0.2 + 0.8 * shade);
    if (depth > 0 && shine > 0) {
        Vec mirrored = sub(direction, scale(normal, 2 * dot(direction, normal)));
        color = add(scale(color, 1 - shine), scale(trace(at, mirrored, depth - 1), shine));
    }
    return color;
}

static inline uint8_t to_byte(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 1 ? 255 : (int)(v * 255));
}

RUN(int n)
{
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++) {
            Vec direction = unit(vec((x - n / 2.0) / n, (n / 2.0 - y) / n, 1.0));
            Vec color = trace(vec(0, 0.5, -1), direction, 4);
            image[y][x][0] = to_byte(color.x);
            image[y][x][1] = to_byte(color.y);
            image[y][x][2] = to_byte(color.z);
        }
}

CHECKSUM_F64(void)
{
    double sum = 0.0;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++)
            sum += (image[y][x][0] + image[y][x][1] * 3 + image[y][x][2] * 5) * (1 + ((3 * y + x) & 7));
    return sum;
}
