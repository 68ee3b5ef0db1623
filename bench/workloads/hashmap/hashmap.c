// SPDX-License-Identifier: Apache-2.0
// An open-addressing hash table with robin-hood insertion, counting words of n KiB of text and
// random 64-bit keys.
#include "text.h"

#define MAX 512
#define SLOTS 131072
typedef struct {
    uint64_t key;
    uint32_t count, distance;
} Slot;

static uint8_t text[MAX * 1024];
static Slot slots[SLOTS];
static uint64_t result;

INIT(int n) { fill_text(text, n * 1024, 1812433253u); }

static inline uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static NOINLINE uint32_t add(uint64_t key, uint32_t count)
{
    Slot entry = {key, count, 1};
    for (uint64_t at = scramble(key) % SLOTS;; at = (at + 1) % SLOTS, entry.distance++) {
        Slot *slot = &slots[at];
        if (!slot->distance) {
            *slot = entry;
            return entry.count;
        }
        if (slot->key == entry.key)
            return slot->count += entry.count;
        if (slot->distance < entry.distance) {
            Slot t = *slot;
            *slot = entry;
            entry = t;
        }
    }
}

RUN(int n)
{
    uint32_t seed = 5489u;
    uint64_t hash = MIX_SEED, word = 14695981039346656037u;
    for (int i = 0; i < SLOTS; i++)
        slots[i] = (Slot){0, 0, 0};
    for (int i = 0; i < n * 1024; i++) {
        if (text[i] >= 'a' && text[i] <= 'z') {
            word = mix(word, text[i]);
        } else {
            add(word, 1);
            word = 14695981039346656037u;
        }
    }
    for (int i = 0; i < 400000; i++)
        hash = mix(hash, add(random_u32(&seed) & 0xffff, 1));
    for (int i = 0; i < SLOTS; i++)
        hash += slots[i].key * slots[i].count;
    result = hash;
}

CHECKSUM_I64(void) { return (int64_t)result; }
