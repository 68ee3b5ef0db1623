// SPDX-License-Identifier: Apache-2.0
// The three functions every C compiler may call by itself. Linked into wasm builds only, and used
// there only without bulk memory; native builds have those of the C library.
#include <stddef.h>
#include <stdint.h>

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    for (; n >= 8; n -= 8, t += 8, f += 8)
        *(word *)t = *(const word *)f;
    for (; n; n--)
        *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t <= f)
        return memcpy(to, from, n);
    for (; n >= 8; n -= 8)
        *(word *)(t + n - 8) = *(const word *)(f + n - 8);
    for (; n; n--)
        t[n - 1] = f[n - 1];
    return to;
}

void *memset(void *to, int value, size_t n)
{
    uint8_t *t = to;
    uint64_t pattern = 0x0101010101010101u * (uint8_t)value;
    for (; n >= 8; n -= 8, t += 8)
        *(word *)t = pattern;
    for (; n; n--)
        *t++ = (uint8_t)value;
    return to;
}
