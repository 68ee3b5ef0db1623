// SPDX-License-Identifier: Apache-2.0
// In the manner of CoreMark, a mix of list processing (find, reverse, merge sort of a linked list),
// a small integer matrix, a state machine over text and a 16-bit CRC over everything; n rounds.
#include "bench.h"

// --- linked list -------------------------------------------------------------------------------

#define ITEMS 400
typedef struct Item {
    struct Item *next;
    int16_t data, index;
} Item;

static Item items[ITEMS];

static NOINLINE Item *find(Item *list, int16_t data)
{
    while (list && list->data != data)
        list = list->next;
    return list;
}

static NOINLINE Item *reverse(Item *list)
{
    Item *done = 0;
    while (list) {
        Item *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

typedef int (*Order)(const Item *, const Item *);
static int by_data(const Item *a, const Item *b) { return a->data - b->data; }
static int by_index(const Item *a, const Item *b) { return a->index - b->index; }
// In a variable other files may change, so that no compiler can know the target.
Order coremix_orders[2] = {by_data, by_index};

static NOINLINE Item *sort(Item *list, Order order)
{
    if (!list || !list->next)
        return list;
    Item *slow = list, *fast = list->next;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    Item *second = slow->next;
    slow->next = 0;
    list = sort(list, order);
    second = sort(second, order);
    Item *head = 0, **tail = &head;
    while (list && second) {
        Item **from = order(list, second) <= 0 ? &list : &second;
        *tail = *from;
        tail = &(*from)->next;
        *from = (*from)->next;
    }
    *tail = list ? list : second;
    return head;
}

// --- matrix --------------------------------------------------------------------------------------

#define EDGE 24
static int16_t ma[EDGE][EDGE], mb[EDGE][EDGE];
static int32_t mc[EDGE][EDGE];

static NOINLINE int32_t matrix(int16_t constant)
{
    int32_t sum = 0, previous = 0;
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++)
            ma[i][j] = (int16_t)(ma[i][j] + constant);
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++) {
            int32_t dot = 0;
            for (int k = 0; k < EDGE; k++) {
                int32_t product = ma[i][k] * mb[k][j];
                dot += (product >> 2 & 15) * (product >> 5 & 127);
            }
            mc[i][j] = dot;
        }
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++) {
            sum += mc[i][j] > previous ? 10 : 1;
            previous = mc[i][j];
        }
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++)
            ma[i][j] = (int16_t)(ma[i][j] - constant);
    return sum;
}

// --- state machine -------------------------------------------------------------------------------

typedef enum { START, SIGN, INTEGER, FRACTION, EXPONENT, EXPONENT_SIGN, DIGITS, BAD, STATES } State;

static const char *const numbers[8] = {"5012", "1234.500", "-110.700", "+0.64400",
                                       "5.500e+3", "-.123e-2", "T0.3e-1F", "1T3.4e4z"};
static char input[2048];
static uint32_t seen[STATES], ended[STATES];

static State advance(State state, char c)
{
    int digit = c >= '0' && c <= '9';
    switch (state) {
    case START: return digit ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? FRACTION : BAD;
    case SIGN: return digit ? INTEGER : c == '.' ? FRACTION : BAD;
    case INTEGER: return c == '.' ? FRACTION : digit ? INTEGER : BAD;
    case FRACTION: return c == 'e' || c == 'E' ? EXPONENT : digit ? FRACTION : BAD;
    case EXPONENT: return c == '+' || c == '-' ? EXPONENT_SIGN : digit ? DIGITS : BAD;
    case EXPONENT_SIGN: return digit ? DIGITS : BAD;
    case DIGITS: return digit ? DIGITS : BAD;
    default: return BAD;
    }
}

static NOINLINE void scan(void)
{
    const char *c = input;
    while (*c) {
        State state = START;
        for (; *c && *c != ','; c++) {
            if (state != BAD)
                state = advance(state, *c);
            seen[state]++;
        }
        ended[state]++;
        if (*c == ',')
            c++;
    }
}

// --- all together --------------------------------------------------------------------------------

static uint16_t crc;

static inline uint16_t crc16(uint16_t value, uint16_t sum)
{
    for (int i = 0; i < 16; i++, value >>= 1)
        sum = (uint16_t)((value ^ sum) & 1 ? sum >> 1 ^ 0xa001 : sum >> 1);
    return sum;
}

INIT(int n)
{
    uint32_t seed = 0x3415u;
    (void)n;
    for (int i = 0; i < ITEMS; i++) {
        items[i].data = (int16_t)(random_u32(&seed) & 0x7fff);
        items[i].index = (int16_t)i;
        items[i].next = i + 1 < ITEMS ? &items[i + 1] : 0;
    }
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++) {
            ma[i][j] = (int16_t)(random_u32(&seed) & 0xff);
            mb[i][j] = (int16_t)(random_u32(&seed) & 0xff);
        }
    int at = 0;
    while (at < 2000) {
        for (const char *c = numbers[random_u32(&seed) & 7]; *c; c++)
            input[at++] = *c;
        input[at++] = ',';
    }
    input[at] = 0;
    crc = 0;
}

RUN(int n)
{
    Item *list = &items[0];
    uint16_t sum = 0;
    for (int i = 0; i < STATES; i++)
        seen[i] = ended[i] = 0;
    for (int round = 0; round < n; round++) {
        for (int k = 0; k < 40; k++) {
            list = reverse(list);
            const Item *found = find(list, items[(round * 7 + k * 31) % ITEMS].data);
            sum = crc16(found ? (uint16_t)found->index : 0, sum);
        }
        list = sort(list, coremix_orders[0]);
        sum = crc16((uint16_t)list->data, sum);
        list = sort(list, coremix_orders[1]);
        sum = crc16((uint16_t)matrix((int16_t)(round & 15)), sum);
        scan();
        for (int i = 0; i < STATES; i++)
            sum = crc16((uint16_t)(seen[i] ^ ended[i]), sum);
    }
    crc = sum;
}

CHECKSUM_I64(void) { return crc; }
