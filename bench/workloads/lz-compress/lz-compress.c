// SPDX-License-Identifier: Apache-2.0
// LZ77 compression of n KiB of text: hash table of positions, byte-wise match extension.
#include "lz.h"
#include "text.h"

#define MAX 2048
static uint8_t text[MAX * 1024], packed[MAX * 1024 * 2];
static int packed_size;

INIT(int n) { fill_text(text, n * 1024, 2463534242u); }

RUN(int n) { packed_size = lz_compress(packed, text, n * 1024); }

CHECKSUM_I64(void)
{
    uint64_t hash = mix(MIX_SEED, (uint64_t)packed_size);
    for (int i = 0; i < packed_size; i++)
        hash = mix(hash, packed[i]);
    return (int64_t)hash;
}
