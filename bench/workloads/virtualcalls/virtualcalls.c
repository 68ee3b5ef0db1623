// SPDX-License-Identifier: Apache-2.0
// Methods through tables of function pointers on a mixed array of objects, with signatures on
// integers and floats: call_indirect and its checks.
#include "bench.h"

#define MAX 20000
struct Shape;
typedef struct {
    double (*area)(const struct Shape *);
    int32_t (*corners)(const struct Shape *, int32_t);
    void (*grow)(struct Shape *, double);
} Methods;
typedef struct Shape {
    const Methods *methods;
    double a, b;
} Shape;

static double circle_area(const Shape *s) { return 3.14159 * s->a * s->a; }
static double box_area(const Shape *s) { return s->a * s->b; }
static double triangle_area(const Shape *s) { return 0.5 * s->a * s->b; }
static int32_t circle_corners(const Shape *s, int32_t x) { return s->a > 1 ? x : x + 1; }
static int32_t box_corners(const Shape *s, int32_t x) { return s->b > 1 ? x + 4 : x * 3; }
static int32_t triangle_corners(const Shape *s, int32_t x) { return s->a > s->b ? x + 3 : x ^ 5; }
static void grow_a(Shape *s, double by) { s->a = s->a > 2 ? s->a * 0.5 : s->a + by; }
static void grow_both(Shape *s, double by)
{
    grow_a(s, by);
    s->b = s->b > 2 ? s->b * 0.5 : s->b + by;
}

static const Methods kinds[3] = {
    {circle_area, circle_corners, grow_a},
    {box_area, box_corners, grow_both},
    {triangle_area, triangle_corners, grow_both},
};
static Shape shapes[MAX];
static double total;
static int32_t corners;

INIT(int n)
{
    uint32_t seed = 1597334677u;
    for (int i = 0; i < n; i++) {
        shapes[i].methods = &kinds[random_u32(&seed) % 3];
        shapes[i].a = random_f64(&seed) * 2;
        shapes[i].b = random_f64(&seed) * 2;
    }
    total = 0.0;
    corners = 0;
}

RUN(int n)
{
    for (int pass = 0; pass < 20; pass++)
        for (int i = 0; i < n; i++) {
            Shape *s = &shapes[i];
            total += s->methods->area(s);
            corners = s->methods->corners(s, corners & 0xffff);
            s->methods->grow(s, 0.01);
        }
}

CHECKSUM_F64(void) { return total + corners; }
