// SPDX-License-Identifier: Apache-2.0
// Gravitation of five bodies for n steps: square roots, divisions, fully unrolled inner loops.
#include "bench.h"

#define BODIES 5
typedef struct {
    double x, y, z, vx, vy, vz, mass;
} Body;

static Body bodies[BODIES];

// Rounded elements of the Sun and the four giant planets, in units of au, day and solar mass.
static const Body initial[BODIES] = {
    {0, 0, 0, 0, 0, 0, 1.0},
    {4.84, -1.16, -0.104, 0.00166, 0.0077, -0.000069, 9.55e-4},
    {8.34, 4.12, -0.404, -0.00277, 0.005, 0.000023, 2.86e-4},
    {12.89, -15.11, -0.223, 0.00296, 0.00238, -0.0000297, 4.37e-5},
    {15.38, -25.92, 0.179, 0.00268, 0.00163, -0.0000952, 5.15e-5},
};

INIT(int n)
{
    (void)n;
    for (int i = 0; i < BODIES; i++)
        bodies[i] = initial[i];
}

RUN(int n)
{
    const double dt = 0.5, gravity = 2.959122082855911e-4;
    for (int step = 0; step < n; step++) {
        for (int i = 0; i < BODIES; i++) {
            Body *a = &bodies[i];
            for (int j = i + 1; j < BODIES; j++) {
                Body *b = &bodies[j];
                double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
                double square = dx * dx + dy * dy + dz * dz;
                double scale = gravity * dt / (square * __builtin_sqrt(square));
                a->vx -= dx * b->mass * scale;
                a->vy -= dy * b->mass * scale;
                a->vz -= dz * b->mass * scale;
                b->vx += dx * a->mass * scale;
                b->vy += dy * a->mass * scale;
                b->vz += dz * a->mass * scale;
            }
        }
        for (int i = 0; i < BODIES; i++) {
            bodies[i].x += dt * bodies[i].vx;
            bodies[i].y += dt * bodies[i].vy;
            bodies[i].z += dt * bodies[i].vz;
        }
    }
}

CHECKSUM_F64(void)
{
    double sum = 0.0;
    for (int i = 0; i < BODIES; i++)
        sum += bodies[i].x + 2 * bodies[i].y + 3 * bodies[i].z;
    return sum;
}
