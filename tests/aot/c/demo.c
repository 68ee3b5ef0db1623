/* Uses everything a compiled module offers to C; prints what went wrong. */
#include <stdio.h>
#include <string.h>

#include "demo.h"

static int failures;
static int logged;

#define CHECK(condition)                                         \
    do {                                                         \
        if (!(condition)) {                                      \
            printf("line %d: %s\n", __LINE__, #condition);       \
            failures++;                                          \
        }                                                        \
    } while (0)

int64_t demo__env__log(void *host, int32_t a, double b) {
    logged = a;
    return a + (int64_t)(b * 2) + *(int *)host;
}

int64_t demo__env__wide(void *host, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e,
                        int64_t f, int64_t g, float h) {
    (void)host;
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f + 1000000 * g + (int64_t)h;
}

demo_i32_f64_i64 demo__env__pair(void *host, int32_t a) {
    (void)host;
    demo_i32_f64_i64 r = {a + 1, a / 2.0, 1LL << 40};
    return r;
}

int main(void) {
    int host = 1000, other = 2000;
    int32_t error = 5;
    demo_instance *one = demo_instantiate(NULL, &host, &error);
    demo_instance *two = demo_instantiate(NULL, &other, NULL);
    if (!one || !two) {
        printf("no instance: %s\n", jw_trap_message(error));
        return 1;
    }
    CHECK(demo__add(one, 2, 3) == 5);
    CHECK(demo__apply(one, 1, 20, 22) == 42);
    CHECK(demo__apply(one, 2, 20, 22) == -2);
    CHECK(demo__apply(one, 3, 7, 0) == 1008 && logged == 7);
    CHECK(demo__apply(one, 0, 0, 0) == 0 && demo_trap(one) == 8);
    CHECK(demo__apply(one, 100, 0, 0) == 0 && demo_trap(one) == 7);
    CHECK(demo__count(one) == 41 && demo__count(one) == 42 && demo__count(two) == 41);
    CHECK(demo_trap(one) == 0);
    CHECK(*demo__counter(one) == 42);
    *demo__counter(one) = 7;
    CHECK(demo__count(one) == 8);
    CHECK(*demo__pi(one) == 3.5);
    CHECK(demo__divide(one, 7, 2) == 3 && demo_trap(one) == 0);
    CHECK(demo__divide(one, 7, 0) == 0);
    CHECK(!strcmp(jw_trap_message(demo_trap(one)), "integer divide by zero"));
    CHECK(demo__load(one, 65532) == 0 && demo_trap(one) == 0);
    demo__load(one, 65533);
    CHECK(!strcmp(jw_trap_message(demo_trap(one)), "out of bounds memory access"));
    demo__load(one, -1);
    CHECK(demo_trap(one) == 5);
    demo__recurse(one, 0);
    CHECK(demo_trap(one) == 10);
    CHECK(demo__add(one, 1, 1) == 2 && demo_trap(one) == 0);
    CHECK(demo__say(one, 5) == 1008 && demo__say(two, 5) == 2008);
    CHECK(demo__spread(one, 9) == 9 + 10 + 200 + 3000 + 40000 + 500000 + 6000000 + 7);
    demo_i32_f32 pair = demo__two(one, 11);
    CHECK(pair.r0 == 11 && pair.r1 == 2.5f);
    demo_i32_f64_i64 many = demo__many(one, 11);
    CHECK(many.r0 == 12 && many.r1 == 5.5 && many.r2 == 1LL << 40);
    jw_memory *memory = demo__memory(one);
    CHECK(memory->size == 65536 && !strcmp((char *)memory->data + 16, "hello from wasm"));
    CHECK(demo__grow(one, 2) == 1 && memory->size == 3 * 65536);
    CHECK(demo__grow(one, 2) == -1);
    memory->data[3 * 65536 - 1] = 1;
    demo__fill(one, 100);
    CHECK(!memcmp(memory->data + 100, "passive", 7));
    demo__fill(one, 3 * 65536 - 3);
    CHECK(demo_trap(one) == 5);
    CHECK(demo__operations(one)->size == 8);
    CHECK(demo__tail(one, 1000000, 5) == 1000005);
    jw_v128 v = {0x0000000200000001, 0x0000000400000003};
    v = demo__vector(one, v);
    CHECK(v[0] == 0x0000000400000002 && v[1] == 0x0000000800000006);
    CHECK(demo__free(one) == 77 && demo__weirdZ2DnameZ2Ex(one) == 99);
    demo_free(one);
    CHECK(demo__count(two) == 42);
    demo_free(two);
    demo_free(NULL);
    printf("%d failures\n", failures);
    return failures;
}
