// SPDX-License-Identifier: Apache-2.0
// Huffman coding of n KiB of text: histogram, code lengths from a heap, encoding and decoding
// through a bit buffer.
#include "text.h"

#define MAX 1024
#define SYMBOLS 256
static uint8_t text[MAX * 1024], packed[MAX * 1024 * 2], out[MAX * 1024];
static uint32_t weight[2 * SYMBOLS];
static int32_t parent[2 * SYMBOLS], heap[SYMBOLS], children[2 * SYMBOLS][2];
static uint32_t code[SYMBOLS];
static uint8_t length[SYMBOLS];
static int heap_size;

INIT(int n) { fill_text(text, n * 1024, 88172645u); }

static void push(int32_t node)
{
    int at = heap_size++;
    while (at > 0 && weight[heap[(at - 1) / 2]] > weight[node]) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = node;
}

static int32_t pop(void)
{
    int32_t top = heap[0], last = heap[--heap_size];
    int at = 0;
    for (;;) {
        int child = 2 * at + 1;
        if (child >= heap_size)
            break;
        if (child + 1 < heap_size && weight[heap[child + 1]] < weight[heap[child]])
            child++;
        if (weight[heap[child]] >= weight[last])
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static int build_tree(void)
{
    int next = SYMBOLS;
    heap_size = 0;
    for (int i = 0; i < SYMBOLS; i++)
        if (weight[i])
            push(i);
    while (heap_size > 1) {
        int32_t a = pop(), b = pop();
        weight[next] = weight[a] + weight[b];
        parent[a] = parent[b] = next;
        children[next][0] = a;
        children[next][1] = b;
        push(next++);
    }
    int root = heap[0];
    for (int i = 0; i < SYMBOLS; i++) {
        code[i] = 0;
        length[i] = 0;
        if (!weight[i])
            continue;
        for (int at = i; at != root; at = parent[at])
            code[i] |= (uint32_t)(children[parent[at]][1] == at) << length[i]++;
    }
    return root;
}

RUN(int n)
{
    int size = n * 1024;
    for (int i = 0; i < 2 * SYMBOLS; i++)
        weight[i] = 0;
    for (int i = 0; i < size; i++)
        weight[text[i]]++;
    int root = build_tree();

    uint64_t bits = 0;
    int have = 0;
    uint8_t *to = packed;
    for (int i = 0; i < size; i++) {
        bits = bits << length[text[i]] | code[text[i]];
        for (have += length[text[i]]; have >= 8; have -= 8)
            *to++ = (uint8_t)(bits >> (have - 8));
    }
    *to++ = (uint8_t)(bits << (8 - have));

    int at = root, done = 0;
    for (const uint8_t *from = packed; done < size; from++)
        for (int bit = 7; bit >= 0 && done < size; bit--) {
            at = children[at][*from >> bit & 1];
            if (at < SYMBOLS) {
                out[done++] = (uint8_t)at;
                at = root;
            }
        }
}

CHECKSUM_I64(void)
{
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < MAX * 1024; i++)
        hash = mix(hash, out[i] ^ (uint64_t)packed[i] << 8);
    return (int64_t)hash;
}
