// SPDX-License-Identifier: Apache-2.0
// Building, walking and freeing full binary trees of depth up to n, with a small allocator of our
// own (size classes over a static heap).
#include "bench.h"

#define HEAP (8 << 20)
#define CLASSES 8
typedef struct Block {
    struct Block *next;
} Block;

static _Alignas(16) uint8_t heap[HEAP];
static size_t heap_used;
static Block *free_blocks[CLASSES];
static uint64_t result;

static void *allocate(size_t size)
{
    size_t class = (size + 15) / 16;
    Block *block = free_blocks[class];
    if (block) {
        free_blocks[class] = block->next;
        return block;
    }
    if (heap_used + class * 16 > HEAP)
        __builtin_trap();
    heap_used += class * 16;
    return heap + heap_used - class * 16;
}

static void release(void *pointer, size_t size)
{
    Block *block = pointer;
    size_t class = (size + 15) / 16;
    block->next = free_blocks[class];
    free_blocks[class] = block;
}

typedef struct Tree {
    struct Tree *left, *right;
} Tree;

static NOINLINE Tree *grow(int depth)
{
    Tree *tree = allocate(sizeof(Tree));
    tree->left = depth ? grow(depth - 1) : 0;
    tree->right = depth ? grow(depth - 1) : 0;
    return tree;
}

static NOINLINE uint32_t count(const Tree *tree)
{
    return tree->left ? 1 + count(tree->left) + count(tree->right) : 1;
}

static NOINLINE void cut(Tree *tree)
{
    if (tree->left) {
        cut(tree->left);
        cut(tree->right);
    }
    release(tree, sizeof(Tree));
}

INIT(int n)
{
    (void)n;
    heap_used = 0;
    for (int i = 0; i < CLASSES; i++)
        free_blocks[i] = 0;
}

RUN(int n)
{
    uint64_t hash = MIX_SEED;
    Tree *kept = grow(n);
    for (int depth = 4; depth <= n; depth += 2)
        for (int i = 0; i < 1 << (n - depth); i++) {
            Tree *tree = grow(depth);
            hash = mix(hash, count(tree));
            cut(tree);
        }
    result = mix(hash, count(kept));
    cut(kept);
}

CHECKSUM_I64(void) { return (int64_t)result; }
