"""The code around a function's body: choice of registers for locals, prologue, epilogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    FRAME_LOAD,
    FRAME_STORE,
    I32,
    LOCAL,
    PAYLOAD,
    PINS,
    V128,
    XMM_PINS,
)
from jitwasm.backend.baseline.program import INT, OVERFLOW

if TYPE_CHECKING:
    from jitwasm.backend.baseline.function import FunctionCompiler

__all__ = ["leave", "place_locals", "prologue"]

SAVED = {R15: -8, R14: -16, RBX: -24, R12: -32, R13: -40}
PAGE = 4096
PINNED_LOCALS = 64
"""Locals from here on never get a register."""
_GETS = tuple(bytes([0x20, i]) for i in range(PINNED_LOCALS))
"""`local.get` of each. Counting them in the body, and bytes that look like them, is cheap."""
_MOV32 = INSTRUCTIONS["mov32"]
_MOV64 = INSTRUCTIONS["mov64"]
_STORE64 = INSTRUCTIONS["store64"].rf
_MOVAPS = INSTRUCTIONS["movaps"].rr
_XORPS = INSTRUCTIONS["xorps"].rr
_XOR32 = INSTRUCTIONS["xor32"].rr
_BASED = [INSTRUCTIONS[n].rb for n in ("mov32", "mov64", "load_f32", "load_f64", "load_v128")]
_PUSH_RBP = b"\x55\x48\x89\xe5"  # push rbp; mov rbp, rsp


def place_locals(f: FunctionCompiler, pos: int) -> None:
    """Choose registers and homes for the locals; `pos` is where the code begins."""
    types, code = f.types, f.code
    count = len(types)
    f.short_locals = min(count, 0x80)
    f.pins = [-1] * count
    ints: list[tuple[int, int]] = []
    floats: list[tuple[int, int]] = []
    if count:
        body = code[pos:]
        for i in range(min(count, PINNED_LOCALS)):
            uses = body.count(_GETS[i])
            if uses > 1:
                (ints if types[i] < 2 else floats).append((-uses, i))
    calls = _estimate_calls(code, pos)
    ints.sort()
    floats.sort()
    pins = f.pins
    for rank, (reg, (uses, i)) in enumerate(zip(PINS, ints, strict=False)):
        if rank >= CALLEE_SAVED and -uses < 2 * calls:
            break
        pins[i] = reg
    for reg, (uses, i) in zip(XMM_PINS, floats, strict=False):
        if -uses < 2 * calls:
            break
        pins[i] = reg
    _place_homes(f)


def _estimate_calls(code: bytes, pos: int) -> int:
    """About how many calls there are: bytes 0x10 and 0x11 that are no constants or offsets."""
    count = code.count(b"\x10", pos)
    if count:
        for before in (b"\x41\x10", b"\x02\x10", b"\x03\x10", b"\x20\x10"):
            count -= code.count(before, pos)
    return max(count, 0) + code.count(b"\x11", pos) // 2


def _place_homes(f: FunctionCompiler) -> None:
    disp = SAVED[R13]
    homes, pins = f.homes, f.pins
    save = restore = b""
    for i, type_ in enumerate(f.types):
        pin = pins[i]
        f.locals.append(i << PAYLOAD | type_ << 3 | LOCAL)
        if pin in SAVED:
            homes.append(0)
            continue
        disp -= 16 if type_ == V128 else 8
        homes.append(disp)
        if pin >= 0:
            save += FRAME_STORE[type_][disp << 4 | pin]
            restore += FRAME_LOAD[type_][disp << 4 | pin]
    f.save, f.restore = save, restore
    vectors = V128 in f.types or b"\xfd" in f.code or f.program.vectors
    f.slot_size = 16 if vectors else 8
    f.slot_base = disp - f.slot_size


def _used(f: FunctionCompiler) -> list[int]:
    used = [R15]
    if f.uses_memory:
        used.append(R14)
    return used + [pin for pin in f.pins if pin in SAVED]


def leave(f: FunctionCompiler) -> bytes:
    """Code that gives the frame up: only `ret`, or a jump, is left to do."""
    code = b"".join([_MOV64.rf[SAVED[reg] << 4 | reg] for reg in _used(f)])
    return code + b"\xc9"


def prologue(f: FunctionCompiler) -> bytes:
    out = bytearray(_PUSH_RBP)
    size = -f.slot_base + f.slot_size * f.max_height + 15 & -16
    _grow_stack(out, size)
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
                    out += _BASED[type_][((16 * number) << 4 | RAX) << 4 | reg]
                    if not pinned:
                        out += FRAME_STORE[type_][f.homes[i] << 4 | reg]
    for i, (type_, where, number) in enumerate(f.plan.params):
        pin, home = f.pins[i], f.homes[i]
        if where == OVERFLOW:
            continue
        if where == INT:
            reg = ARGUMENTS[number]
            if pin < 0:
                out += FRAME_STORE[type_][home << 4 | reg]
            else:
                out += (_MOV32 if type_ == I32 else _MOV64).rr[pin << 4 | reg]
        elif pin < 0:
            out += FRAME_STORE[type_][home << 4 | number]
        else:
            out += _MOVAPS[pin << 4 | number]


def _clear_locals(f: FunctionCompiler, out: bytearray) -> None:
    low = high = 0
    for i in range(len(f.plan.params), len(f.types)):
        pin, type_ = f.pins[i], f.types[i]
        if pin >= 0:
            out += _XOR32[pin << 4 | pin] if type_ < 2 else _XORPS[pin << 8 | pin << 4 | pin]
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
    out += _XORPS[0]
    store = INSTRUCTIONS["store_v128"].rf
    for at in range(low, high - 15, 16):
        out += store[at << 4]
    if size % 16:
        out += store[(high - 16) << 4]
