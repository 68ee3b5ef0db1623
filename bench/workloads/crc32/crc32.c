// SPDX-License-Identifier: Apache-2.0
// CRC-32 (IEEE) of n KiB with one table: a chain of dependent table look-ups, byte by byte.
#include "bench.h"

#define MAX 4096
static uint8_t data[MAX * 1024];
static uint32_t table[256], crc;

INIT(int n)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    for (int i = 0; i < n * 1024; i++)
        data[i] = (uint8_t)(i * 13 + (i >> 7));
}

RUN(int n)
{
    uint32_t c = 0xffffffffu;
    for (int i = 0; i < n * 1024; i++)
        c = table[(c ^ data[i]) & 255] ^ c >> 8;
    crc = ~c;
}

CHECKSUM_I64(void) { return crc; }
