// SPDX-License-Identifier: Apache-2.0
// Insertion into, look-up in and deletion from a binary search tree of n random keys: pointer
// chasing through 24-byte nodes.
#include "bench.h"

#define MAX 100000
typedef struct Node {
    struct Node *left, *right;
    uint32_t key, value;
} Node;

static Node nodes[MAX];
static Node *root, *free_list;
static uint64_t result;

INIT(int n)
{
    root = 0;
    free_list = 0;
    for (int i = n - 1; i >= 0; i--) {
        nodes[i].left = free_list;
        free_list = &nodes[i];
    }
}

static NOINLINE void insert(uint32_t key, uint32_t value)
{
    Node **at = &root;
    while (*at) {
        if ((*at)->key == key) {
            (*at)->value += value;
            return;
        }
        at = key < (*at)->key ? &(*at)->left : &(*at)->right;
    }
    Node *node = free_list;
    if (!node)
        return;
    free_list = node->left;
    *node = (Node){0, 0, key, value};
    *at = node;
}

static NOINLINE const Node *find(uint32_t key)
{
    const Node *node = root;
    while (node && node->key != key)
        node = key < node->key ? node->left : node->right;
    return node;
}

static NOINLINE void erase(uint32_t key)
{
    Node **at = &root;
    while (*at && (*at)->key != key)
        at = key < (*at)->key ? &(*at)->left : &(*at)->right;
    Node *node = *at;
    if (!node)
        return;
    if (node->left && node->right) {
        Node **next = &node->right;
        while ((*next)->left)
            next = &(*next)->left;
        node->key = (*next)->key;
        node->value = (*next)->value;
        at = next;
        node = *next;
    }
    *at = node->left ? node->left : node->right;
    node->left = free_list;
    free_list = node;
}

RUN(int n)
{
    uint32_t seed = 2654435769u;
    uint64_t hash = MIX_SEED;
    for (int i = 0; i < n; i++)
        insert(random_u32(&seed) >> 12, (uint32_t)i);
    for (int i = 0; i < 2 * n; i++) {
        const Node *node = find(random_u32(&seed) >> 12);
        hash = mix(hash, node ? node->value : 0xffffffffu);
    }
    seed = 2654435769u;
    for (int i = 0; i < n / 2; i++)
        erase(random_u32(&seed) >> 12);
    for (int i = 0; i < n; i++)
        hash += find((uint32_t)i << 3) != 0;
    result = hash;
}

CHECKSUM_I64(void) { return (int64_t)result; }
