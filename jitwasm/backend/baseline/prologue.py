"""The code around a function's body: choice of registers for locals, prologue, epilogue."""

from __future__ import annotations

from types import FunctionType

from jitwasm.abi import ENV, STORE_STATE, THREAD_STATE
from jitwasm.backend.baseline.assembler import (
    INSTRUCTIONS,
    MEMORY,
    R12,
    R13,
    R14,
    R15,
    RAX,
    RBX,
    RDI,
    RSP,
    VMCTX,
    imm32,
)
from jitwasm.backend.baseline.operands import (
    ARGUMENTS,
    CALLEE_SAVED,
    I32,
    LOCAL,
    PAYLOAD,
    PINS,
    V128,
)
from jitwasm.backend.baseline.program import INT, OVERFLOW
from jitwasm.trapcodes import TrapCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from mypy_extensions import i64

    from jitwasm.backend.baseline.function import FunctionCompiler

__all__ = ["leave", "place_locals", "prologue", "weigh_locals"]

SAVED: Final = {R15: -8, R14: -16, RBX: -24, R12: -32, R13: -40}
PAGE: Final = 4096
PINNED_LOCALS: Final = 64
"""Locals from here on never get a register."""
LOOP_WEIGHT: Final = 8
LOOP_DEPTH: Final = 3
_LOCAL_GET: Final = b"\x20"
_APART: Final = b"\xff"
"""No instruction, and no local that may get a register."""
_LOOP_START: Final = b"\x03\x40"
_LOOP_ENDS: Final = (b"\x0d\x00\x0b", b"\x0c\x00\x0b")
_MOV32: Final = INSTRUCTIONS["mov32"]
_MOV64: Final = INSTRUCTIONS["mov64"]
_STORE64: Final = INSTRUCTIONS["store64"].rf
_XOR32: Final = INSTRUCTIONS["xor32"].rr
_CHECK_STACK: Final = b"".join(
    [
        _MOV64.rb[(ENV.offset["store"] << 4 | RDI) << 4 | RAX],
        _MOV64.rb[(STORE_STATE.offset["owner"] << 4 | RAX) << 4 | RAX],
        INSTRUCTIONS["cmp64"].rb[(THREAD_STATE.offset["stack_floor"] << 4 | RAX) << 4 | RSP],
        b"\x73\x04\x0f\xb9\x40" + bytes([TrapCode.STACK_OVERFLOW]),  # jae; see trap_instruction
    ]
)
"""Trap if the stack pointer is below the floor of the thread that is inside the store."""
_PUSH_RBP: Final = b"\x55\x48\x89\xe5"  # push rbp; mov rbp, rsp


def place_locals(f: FunctionCompiler, pos: int) -> None:
    """Choose registers and homes for the locals; `pos` is where the code begins."""
    types = f.types
    count = len(types)
    f.short_locals = min(count, 0x80)
    f.pins = pins = [-1] * count
    if count:
        weights, calls = weigh_locals(f.code, pos, min(count, PINNED_LOCALS))
        ints: list[tuple[int, int]] = []
        floats: list[tuple[int, int]] = []
        for i, weight in enumerate(weights):
            if weight > 1:
                (ints if types[i] < 2 else floats).append((-weight, i))
        ints.sort()
        floats.sort()
        # Around each call those that it does not preserve are stored and loaded again.
        for rank, (reg, (weight, i)) in enumerate(zip(PINS, ints, strict=False)):
            if rank >= CALLEE_SAVED and -weight < 2 * calls:
                break
            pins[i] = reg
        for reg, (weight, i) in zip(f.isa.pins, floats, strict=False):
            if -weight < 2 * calls:
                break
            pins[i] = reg
    _place_homes(f)


def weigh_locals(code: bytes, pos: int, count: int) -> tuple[list[int], int]:
    """How often the first `count` locals are read, and how often something is called.

    Guessed from the bytes without decoding, which would take several times as long; the guess is
    nearly always right. A loop multiplies what is inside by `LOOP_WEIGHT`. It is taken to begin
    with `loop` and no type, and to end with `br_if 0` or `br 0` and `end`, as compilers emit it.
    """
    if COMPILED:
        return _weigh_bytes(code, pos, count)
    weights, called = [0] * 256, 0
    for depth, part in _by_depth(code, pos):
        factor = LOOP_WEIGHT**depth
        called += factor * _estimate_calls(part)
        for after in part.split(_LOCAL_GET)[1:]:
            if after:
                weights[after[0]] += factor
    return weights[:count], called


def _weigh_bytes(code: bytes, at: int, count: int) -> tuple[list[int], int]:
    """The same byte by byte, which is faster where this is machine code, and only there."""
    weights = [0] * 256
    direct, indirect = [0] * (LOOP_DEPTH + 1), [0] * (LOOP_DEPTH + 1)
    loops = code.find(_LOOP_START, at) >= 0
    depth, factor = 0, 1
    before: i64 = 0
    pos: i64 = at
    end: i64 = len(code)
    while pos < end:
        byte: i64 = code[pos]
        pos += 1
        if loops and (byte == 0x03 or byte == 0x0C or byte == 0x0D) and pos < end:
            change = 0
            following: i64 = code[pos]
            if byte == 0x03:
                change = 1 if following == 0x40 else 0
            elif following == 0 and pos + 1 < end and code[pos + 1] == 0x0B:
                change = -1
            if change:
                depth = min(max(depth + change, 0), LOOP_DEPTH)
                factor = LOOP_WEIGHT**depth
                before = byte
                continue
        if before == 0x20 and byte != 0x20:
            weights[byte] += factor
        if byte == 0x10:
            if before != 0x41 and before != 0x02 and before != 0x03 and before != 0x20:
                direct[depth] += 1
        elif byte == 0x11:
            indirect[depth] += 1
        before = byte
    called = 0
    for depth in range(LOOP_DEPTH + 1):
        called += LOOP_WEIGHT**depth * (direct[depth] + indirect[depth] // 2)
    return weights[:count], called


COMPILED: Final = not isinstance(weigh_locals, FunctionType)
"""Whether this module is machine code."""


def _by_depth(code: bytes, pos: int) -> list[tuple[int, bytes]]:
    """The code by the number of loops around it, as far as `LOOP_DEPTH`."""
    places = _positions(code, _LOOP_START, pos)
    if not places:
        return [(0, code[pos:])]
    events = [(at, 1) for at in places]
    for end in _LOOP_ENDS:
        events += [(at, -1) for at in _positions(code, end, pos)]
    events.sort()
    inside: list[list[bytes]] = [[] for _ in range(LOOP_DEPTH + 1)]
    depth = 0
    for at, change in events:
        inside[depth].append(code[pos:at])
        depth = min(max(depth + change, 0), LOOP_DEPTH)
        pos = at
    inside[depth].append(code[pos:])
    return [(depth, _APART.join(parts)) for depth, parts in enumerate(inside) if parts]


def _positions(code: bytes, what: bytes, pos: int) -> list[int]:
    found: list[int] = []
    pos = code.find(what, pos)
    while pos >= 0:
        found.append(pos)
        pos = code.find(what, pos + 2)
    return found


def _estimate_calls(code: bytes) -> int:
    """About how many calls there are: bytes 0x10 and 0x11 that are no constants or offsets."""
    count = code.count(b"\x10")
    if count:
        for before in (b"\x41\x10", b"\x02\x10", b"\x03\x10", b"\x20\x10"):
            count -= code.count(before)
    return max(count, 0) + code.count(b"\x11") // 2


def _place_homes(f: FunctionCompiler) -> None:
    disp = SAVED[R13]
    homes, pins = f.homes, f.pins
    frame_load, frame_store = f.isa.frame_load, f.isa.frame_store
    save = restore = b""
    for i, type_ in enumerate(f.types):
        pin = pins[i]
        f.locals.append(i << PAYLOAD | type_ << 3 | LOCAL)
        if pin >= 0 and type_ < 2 and pin in SAVED:
            homes.append(0)
            f.saved.append(pin)
            continue
        disp -= 16 if type_ == V128 else 8
        homes.append(disp)
        if pin >= 0:
            save += frame_store[type_][disp << 4 | pin]
            restore += frame_load[type_][disp << 4 | pin]
    f.save, f.restore = save, restore
    vectors = V128 in f.types or b"\xfd" in f.code or f.program.vectors
    f.slot_size = 16 if vectors else 8
    f.slot_base = disp - f.slot_size


def _used(f: FunctionCompiler) -> list[int]:
    used = [R15]
    if f.uses_memory:
        used.append(R14)
    return used + f.saved


def leave(f: FunctionCompiler) -> bytes:
    """Code that gives the frame up: only `ret`, or a jump, is left to do."""
    code = b"".join([_MOV64.rf[SAVED[reg] << 4 | reg] for reg in _used(f)])
    return code + b"\xc9"


def prologue(f: FunctionCompiler) -> bytes:
    out = bytearray(_PUSH_RBP)
    size = -f.slot_base + f.slot_size * f.max_height + 15 & -16
    _grow_stack(out, size)
    if f.program.limits_stack:
        out += _CHECK_STACK
    for reg in _used(f):
        out += _STORE64[SAVED[reg] << 4 | reg]
    _place_params(f, out)
    out += _MOV64.rr[VMCTX << 4 | RDI]
    if f.uses_memory and f.program.memory_base >= 0:
        out += _MOV64.rb[(f.program.memory_base << 4 | VMCTX) << 4 | MEMORY]
    _clear_locals(f, out)
    return bytes(out)


def _grow_stack(out: bytearray, size: int) -> None:
    """Take the frame. Every page is touched in order, so that none is behind the guard page."""
    probes = size // PAGE if size > PAGE - 512 else 0
    if probes > 16:
        # mov eax, n; 1: sub rsp, PAGE; or qword [rsp], 0; dec eax; jnz 1b  (rax is free here)
        out += b"\xb8" + imm32(probes)
        loop = b"\x48\x81\xec" + imm32(PAGE) + b"\x48\x83\x0c\x24\0" + b"\xff\xc8"
        out += loop + bytes([0x75, -len(loop) - 2 & 0xFF])
    else:
        out += (b"\x48\x81\xec" + imm32(PAGE) + b"\x48\x83\x0c\x24\0") * probes
    rest = size - probes * PAGE
    if rest:
        out += INSTRUCTIONS["sub64i"].ri[rest << 4 | RSP]


def _place_params(f: FunctionCompiler, out: bytearray) -> None:
    if f.plan.overflow_params:
        out += _MOV64.rb[RDI << 4 | RAX]
        # Those without a register first: xmm15 is scratch until it is a pin.
        for pinned in (False, True):
            for i, (type_, where, number) in enumerate(f.plan.params):
                pin = f.pins[i]
                if where == OVERFLOW and (pin >= 0) == pinned:
                    reg = pin if pinned else R15 if type_ < 2 else 15
                    out += f.isa.loads[type_][((16 * number) << 4 | RAX) << 4 | reg]
                    if not pinned:
                        out += f.isa.frame_store[type_][f.homes[i] << 4 | reg]
    for i, (type_, where, number) in enumerate(f.plan.params):
        pin, home = f.pins[i], f.homes[i]
        if where == OVERFLOW:
            continue
        if where == INT:
            reg = ARGUMENTS[number]
            if pin < 0:
                out += f.isa.frame_store[type_][home << 4 | reg]
            else:
                out += (_MOV32 if type_ == I32 else _MOV64).rr[pin << 4 | reg]
        elif pin < 0:
            out += f.isa.frame_store[type_][home << 4 | number]
        else:
            out += f.isa.movaps[pin << 4 | number]


def _clear_locals(f: FunctionCompiler, out: bytearray) -> None:
    low = high = 0
    for i in range(len(f.plan.params), len(f.types)):
        pin, type_ = f.pins[i], f.types[i]
        if pin >= 0:
            out += _XOR32[pin << 4 | pin] if type_ < 2 else f.isa.xorps[pin << 8 | pin << 4 | pin]
        elif not high:
            high = f.homes[i] + (16 if type_ == V128 else 8)
        if f.homes[i]:
            low = f.homes[i]
    size = high - low
    if not high or size <= 0:
        return
    if size == 8:
        out += INSTRUCTIONS["store64i"].rf[low << 4] + imm32(0)
        return
    if size > 512:
        # lea rdi, [rbp + low]; mov ecx, n; xor eax, eax; rep stosq
        out += INSTRUCTIONS["lea64"].rf[low << 4 | RDI] + b"\xb9" + imm32(size // 8)
        out += b"\x31\xc0\xf3\x48\xab"
        return
    out += f.isa.xorps[0]
    store = f.isa["store_v128"].rf
    for at in range(low, high - 15, 16):
        out += store[at << 4]
    if size % 16:
        out += store[(high - 16) << 4]
