// SPDX-License-Identifier: Apache-2.0
// A recursive-descent JSON parser over n KiB: builds a tree in an arena, parses numbers to f64,
// interns keys in a hash table, then walks the tree.
#include "bench.h"

#define MAX 1024
#define NODES 400000
#define KEYS 1024
typedef enum { NUL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT } Kind;
typedef struct Node {
    Kind kind;
    uint32_t key;
    struct Node *next, *child;
    union {
        double number;
        struct {
            uint32_t start, length;
        } text;
    } value;
} Node;

static uint8_t source[MAX * 1024 + 4096];
static int source_size;
static Node nodes[NODES];
static int node_count, position, failed;
static struct {
    uint32_t start, length;
} keys[KEYS];
static uint64_t result;

// --- the input -------------------------------------------------------------------------------

static void put_text(const char *text)
{
    while (*text)
        source[source_size++] = (uint8_t)*text++;
}

static void put_number(uint32_t value)
{
    char digits[12];
    int count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        source[source_size++] = (uint8_t)digits[--count];
}

INIT(int n)
{
    uint32_t seed = 314159265u;
    source_size = 0;
    put_text("{\"items\": [");
    for (int item = 0; source_size < n * 1024 - 512; item++) {
        uint32_t r = random_u32(&seed);
        put_text(item ? ",\n  {\"id\": " : "\n  {\"id\": ");
        put_number((uint32_t)item);
        put_text(", \"name\": \"item \\\"");
        put_number(r & 1023);
        put_text("\\\"\", \"price\": ");
        put_number(r >> 20);
        put_text(".");
        put_number(r >> 10 & 1023);
        put_text(r & 1 ? "e-2" : "");
        put_text(", \"stock\": ");
        put_text(r & 2 ? "true" : r & 4 ? "false" : "null");
        put_text(", \"tags\": [\"alpha\", \"beta\", \"gamma\"], \"size\": {\"w\": -");
        put_number(r >> 16 & 255);
        put_text(", \"h\": ");
        put_number(r >> 24);
        put_text("}}");
    }
    put_text("\n]}");
}

// --- the parser ------------------------------------------------------------------------------

static inline void skip_space(void)
{
    while (source[position] == ' ' || source[position] == '\n' || source[position] == '\t' ||
           source[position] == '\r')
        position++;
}

static inline int accept(uint8_t byte)
{
    skip_space();
    if (source[position] != byte)
        return 0;
    position++;
    return 1;
}

static double parse_number(void)
{
    int negative = source[position] == '-', exponent = 0;
    position += negative;
    double value = 0.0;
    for (; source[position] >= '0' && source[position] <= '9'; position++)
        value = value * 10 + (source[position] - '0');
    if (source[position] == '.')
        for (position++; source[position] >= '0' && source[position] <= '9'; position++) {
            value = value * 10 + (source[position] - '0');
            exponent--;
        }
    if (source[position] == 'e' || source[position] == 'E') {
        position++;
        int sign = source[position] == '-' ? -1 : 1, digits = 0;
        position += source[position] == '-' || source[position] == '+';
        for (; source[position] >= '0' && source[position] <= '9'; position++)
            digits = digits * 10 + (source[position] - '0');
        exponent += sign * digits;
    }
    for (; exponent < 0; exponent++)
        value /= 10;
    for (; exponent > 0; exponent--)
        value *= 10;
    return negative ? -value : value;
}

static void parse_string(uint32_t *start, uint32_t *length)
{
    *start = (uint32_t)position;
    while (source[position] != '"' && position < source_size)
        position += source[position] == '\\' ? 2 : 1;
    *length = (uint32_t)position - *start;
    position++;
}

static uint32_t intern(uint32_t start, uint32_t length)
{
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ source[start + i]) * 16777619u;
    for (uint32_t slot = hash % KEYS;; slot = (slot + 1) % KEYS) {
        if (!keys[slot].length) {
            keys[slot].start = start;
            keys[slot].length = length;
            return slot;
        }
        if (keys[slot].length != length)
            continue;
        uint32_t i = 0;
        while (i < length && source[keys[slot].start + i] == source[start + i])
            i++;
        if (i == length)
            return slot;
    }
}

static int literal(const char *text)
{
    int at = position;
    while (*text && source[at] == (uint8_t)*text)
        at++, text++;
    if (*text)
        return 0;
    position = at;
    return 1;
}

static NOINLINE Node *parse_value(int depth)
{
    if (depth > 100 || node_count == NODES) {
        failed = 1;
        return 0;
    }
    skip_space();
    Node *node = &nodes[node_count++];
    node->next = node->child = 0;
    node->key = 0;
    uint8_t byte = source[position];
    if (byte == '{' || byte == '[') {
        Node **link = &node->child;
        uint8_t close = byte == '{' ? '}' : ']';
        node->kind = byte == '{' ? OBJECT : ARRAY;
        position++;
        if (accept(close))
            return node;
        do {
            uint32_t key = 0;
            if (byte == '{') {
                uint32_t start, length;
                failed |= !accept('"');
                parse_string(&start, &length);
                key = intern(start, length);
                failed |= !accept(':');
            }
            *link = parse_value(depth + 1);
            if (failed)
                return 0;
            (*link)->key = key;
            link = &(*link)->next;
        } while (accept(','));
        failed |= !accept(close);
    } else if (byte == '"') {
        position++;
        node->kind = STRING;
        parse_string(&node->value.text.start, &node->value.text.length);
    } else if (byte == '-' || (byte >= '0' && byte <= '9')) {
        node->kind = NUMBER;
        node->value.number = parse_number();
    } else if (literal("true")) {
        node->kind = TRUE;
    } else if (literal("false")) {
        node->kind = FALSE;
    } else if (literal("null")) {
        node->kind = NUL;
    } else {
        failed = 1;
    }
    return node;
}

static NOINLINE uint64_t walk(const Node *node, uint64_t hash)
{
    for (; node; node = node->next) {
        hash = mix(hash, (uint64_t)node->kind << 32 | node->key);
        if (node->kind == NUMBER)
            hash = mix(hash, (uint64_t)(int64_t)(node->value.number * 1024));
        if (node->kind == STRING)
            hash = mix(hash, node->value.text.length);
        if (node->child)
            hash = walk(node->child, hash);
    }
    return hash;
}

RUN(int n)
{
    (void)n;
    for (int pass = 0; pass < 6; pass++) {
        node_count = position = failed = 0;
        for (int i = 0; i < KEYS; i++)
            keys[i].length = 0;
        Node *root = parse_value(0);
        result = failed ? (uint64_t)position : walk(root, MIX_SEED);
    }
}

CHECKSUM_I64(void) { return (int64_t)(failed ? -1 : (int64_t)result); }
