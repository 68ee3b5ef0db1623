// SPDX-License-Identifier: Apache-2.0
// A bytecode interpreter in one loop with a large switch, running a program that computes primes
// and a checksum: indirect jumps, an operand stack in memory.
#include "bench.h"

enum {
    HALT, PUSH, POP, DUP, SWAP, OVER, LOAD, STORE, LOADX, STOREX,
    ADD, SUB, MUL, DIV, MOD, AND, OR, XOR, SHL, SHR, ROL, NOT, NEG,
    EQ, NE, LT, LE, GT, GE, JUMP, JZ, JNZ, CALL, RETURN, INC, DEC, MIN, MAXI, POPCNT,
};

#define CODE_MAX 512
#define HEAP 65536
static int32_t code[CODE_MAX], stack[1024], frames[256], heap[HEAP];
static int code_size;
static int64_t steps;
static int32_t result;

static int emit(int op)
{
    code[code_size] = op;
    return code_size++;
}

static int emit2(int op, int operand)
{
    int at = emit(op);
    emit(operand);
    return at;
}

// Variables: 0 limit, 1 i, 2 j, 3 sum. The sieve lies at heap[16...].
INIT(int n)
{
    for (int i = 0; i < HEAP; i++)
        heap[i] = 0;
    heap[0] = n;
    code_size = 0;
    emit2(PUSH, 2), emit2(STORE, 1);
    int outer = code_size;
    emit2(LOAD, 1), emit2(LOAD, 0), emit(LT);
    int to_end = emit2(JZ, 0);
    emit2(LOAD, 1), emit2(PUSH, 16), emit(ADD), emit(LOADX);
    int not_prime = emit2(JNZ, 0);
    int call = emit2(CALL, 0);
    emit2(LOAD, 1), emit(DUP), emit(MUL), emit2(STORE, 2);
    int inner = code_size;
    emit2(LOAD, 2), emit2(LOAD, 0), emit(LT);
    int inner_end = emit2(JZ, 0);
    emit2(PUSH, 1), emit2(LOAD, 2), emit2(PUSH, 16), emit(ADD), emit(STOREX);
    emit2(LOAD, 2), emit2(LOAD, 1), emit(ADD), emit2(STORE, 2);
    emit2(JUMP, inner);
    code[inner_end + 1] = code[not_prime + 1] = code_size;
    emit2(INC, 1), emit2(JUMP, outer);
    code[to_end + 1] = code_size;
    emit2(LOAD, 3), emit(HALT);
    // sum = rol(sum ^ i, 5) + popcnt(i) * 40503
    code[call + 1] = code_size;
    emit2(LOAD, 3), emit2(LOAD, 1), emit(XOR), emit2(PUSH, 5), emit(ROL);
    emit2(LOAD, 1), emit(POPCNT), emit2(PUSH, 40503), emit(MUL), emit(ADD), emit2(STORE, 3);
    emit(RETURN);
}

static NOINLINE int32_t interpret(void)
{
    int32_t *sp = stack;
    int pc = 0, depth = 0;
    for (;;) {
        steps++;
        switch (code[pc++]) {
        case HALT: return sp[-1];
        case PUSH: *sp++ = code[pc++]; break;
        case POP: sp--; break;
        case DUP: sp[0] = sp[-1], sp++; break;
        case SWAP: { int32_t t = sp[-1]; sp[-1] = sp[-2], sp[-2] = t; break; }
        case OVER: sp[0] = sp[-2], sp++; break;
        case LOAD: *sp++ = heap[code[pc++]]; break;
        case STORE: heap[code[pc++]] = *--sp; break;
        case LOADX: sp[-1] = heap[sp[-1] & (HEAP - 1)]; break;
        case STOREX: sp -= 2, heap[sp[1] & (HEAP - 1)] = sp[0]; break;
        case ADD: sp--, sp[-1] = (int32_t)((uint32_t)sp[-1] + (uint32_t)sp[0]); break;
        case SUB: sp--, sp[-1] = (int32_t)((uint32_t)sp[-1] - (uint32_t)sp[0]); break;
        case MUL: sp--, sp[-1] = (int32_t)((uint32_t)sp[-1] * (uint32_t)sp[0]); break;
        case DIV: sp--, sp[-1] = sp[0] > 0 ? sp[-1] / sp[0] : 0; break;
        case MOD: sp--, sp[-1] = sp[0] > 0 ? sp[-1] % sp[0] : 0; break;
        case AND: sp--, sp[-1] &= sp[0]; break;
        case OR: sp--, sp[-1] |= sp[0]; break;
        case XOR: sp--, sp[-1] ^= sp[0]; break;
        case SHL: sp--, sp[-1] = (int32_t)((uint32_t)sp[-1] << (sp[0] & 31)); break;
        case SHR: sp--, sp[-1] = (int32_t)((uint32_t)sp[-1] >> (sp[0] & 31)); break;
        case ROL: {
            uint32_t x = (uint32_t)sp[-2];
            sp--;
            sp[-1] = (int32_t)(x << (sp[0] & 31) | x >> (-sp[0] & 31));
            break;
        }
        case NOT: sp[-1] = !sp[-1]; break;
        case NEG: sp[-1] = (int32_t)-(uint32_t)sp[-1]; break;
        case EQ: sp--, sp[-1] = sp[-1] == sp[0]; break;
        case NE: sp--, sp[-1] = sp[-1] != sp[0]; break;
        case LT: sp--, sp[-1] = sp[-1] < sp[0]; break;
        case LE: sp--, sp[-1] = sp[-1] <= sp[0]; break;
        case GT: sp--, sp[-1] = sp[-1] > sp[0]; break;
        case GE: sp--, sp[-1] = sp[-1] >= sp[0]; break;
        case JUMP: pc = code[pc]; break;
        case JZ: pc = *--sp ? pc + 1 : code[pc]; break;
        case JNZ: pc = *--sp ? code[pc] : pc + 1; break;
        case CALL: frames[depth++ & 255] = pc + 1, pc = code[pc]; break;
        case RETURN: pc = frames[--depth & 255]; break;
        case INC: heap[code[pc++]]++; break;
        case DEC: heap[code[pc++]]--; break;
        case MIN: sp--, sp[-1] = sp[-1] < sp[0] ? sp[-1] : sp[0]; break;
        case MAXI: sp--, sp[-1] = sp[-1] > sp[0] ? sp[-1] : sp[0]; break;
        case POPCNT: sp[-1] = __builtin_popcount((uint32_t)sp[-1]); break;
        }
    }
}

RUN(int n)
{
    (void)n;
    steps = 0;
    for (int pass = 0; pass < 18; pass++) {
        for (int i = 1; i < HEAP; i++)
            heap[i] = 0;
        result = interpret();
    }
}

CHECKSUM_I64(void) { return steps << 32 ^ result; }
