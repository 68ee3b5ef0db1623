// SPDX-License-Identifier: Apache-2.0
// LZ77 decompression of n KiB of text, several times: short overlapping copies, data-dependent
// branches.
#include "lz.h"
#include "text.h"

#define MAX 1024
#define PASSES 16
static uint8_t text[MAX * 1024], packed[MAX * 1024 * 2], out[MAX * 1024];
static int packed_size, out_size;

INIT(int n)
{
    fill_text(text, n * 1024, 2463534242u);
    packed_size = lz_compress(packed, text, n * 1024);
}

RUN(int n)
{
    (void)n;
    for (int pass = 0; pass < PASSES; pass++)
        out_size = lz_decompress(out, packed, packed_size);
}

CHECKSUM_I64(void)
{
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < out_size; i++)
        hash = mix(hash, out[i]);
    return (int64_t)hash;
}
