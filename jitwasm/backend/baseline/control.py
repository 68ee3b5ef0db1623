"""Control instructions: frames, branches, and what becomes of a comparison's flags."""

from __future__ import annotations

from jitwasm.backend.baseline.assembler import INSTRUCTIONS, RAX, RCX, Condition, imm32
from jitwasm.backend.baseline.entrymark import ENTRY_MARK
from jitwasm.backend.baseline.function import (
    BLOCK,
    ELSE,
    FUNCTION,
    IF,
    JCC_UNKNOWN,
    LOOP,
    Frame,
    FunctionCompiler,
    Handler,
)
from jitwasm.backend.baseline.immediates import skip_dead
from jitwasm.backend.baseline.operands import (
    CONST,
    F32,
    F64,
    I32,
    I64,
    KIND,
    PAYLOAD,
    SLOT,
    V128,
)
from jitwasm.trapcodes import TrapCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["ROWS", "condition", "start_function", "stop"]

EQZ, BR_IF, IF_OP, SELECT = 0x45, 0x0D, 0x04, 0x1B
"""Instructions that use the flags of a comparison in front of them."""

_TEST32: Final = INSTRUCTIONS["test32"].rr
_MOVZX8: Final = INSTRUCTIONS["movzx8"].rr
_SET: Final = [INSTRUCTIONS[f"set{cc}"].rr for cc in range(16)]
_CMOV: Final = [[INSTRUCTIONS[f"cmov{bits}_{cc}"].rr for cc in range(16)] for bits in (32, 64)]
_CMOV_RF: Final = [[INSTRUCTIONS[f"cmov{bits}_{cc}"].rf for cc in range(16)] for bits in (32, 64)]

_BLOCK_TYPES: Final[dict[int, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    0x40: ((), ()),
    0x7F: ((), (I32,)),
    0x7E: ((), (I64,)),
    0x7D: ((), (F32,)),
    0x7C: ((), (F64,)),
    0x7B: ((), (V128,)),
    0x70: ((), (I64,)),
    0x6F: ((), (I64,)),
}


def _block_type(f: FunctionCompiler, pos: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    byte = f.code[pos]
    known = _BLOCK_TYPES.get(byte)
    if known is not None:
        return known[0], known[1], pos + 1
    if byte in (0x63, 0x64):  # (ref null? heap)
        return (), (I64,), f.signed(pos + 1)[1]
    if 0x40 <= byte < 0x80:
        return (), (I64,), pos + 1
    typeidx, pos = f.signed(pos)
    params, results = f.program.block_type(typeidx)
    return params, results, pos


def start_function(f: FunctionCompiler) -> None:
    f.frames.append(Frame(FUNCTION, 0, (), f.plan.result_types))


def block(f: FunctionCompiler, pos: int, row: None) -> int:
    params, results, pos = _block_type(f, pos)
    stack = f.stack
    if stack:
        f.spill_below(len(stack))
    f.frames.append(Frame(BLOCK, len(stack) - len(params), params, results))
    return pos


def loop(f: FunctionCompiler, pos: int, row: None) -> int:
    params, results, pos = _block_type(f, pos)
    stack = f.stack
    height = len(stack) - len(params)
    if stack:
        f.spill_below(len(stack))
        for i in range(height, len(stack)):
            if stack[i] & KIND == CONST:
                # Another value may come round.
                f.store(f.slot(i), stack[i])
                stack[i] = i << PAYLOAD | params[i - height] << 3 | SLOT
    frame = Frame(LOOP, height, params, results)
    frame.position = len(f.out)
    f.forget_flags()
    f.frames.append(frame)
    if not stack:
        f.out += ENTRY_MARK
    return pos


def if_(f: FunctionCompiler, pos: int, row: None) -> int:
    operand = f.stack.pop()
    reg = f.reg(operand)
    if not f.has_zero_flag(reg):
        f.out += _TEST32[reg << 4 | reg]
    f.drop(reg)
    return _if_condition(f, pos, Condition.NE)


def _if_condition(f: FunctionCompiler, pos: int, cc: int) -> int:
    params, results, pos = _block_type(f, pos)
    stack = f.stack
    if stack:
        f.spill_below(len(stack))  # leaves the flags alone
    frame = Frame(IF, len(stack) - len(params), params, results)
    if params:
        frame.start = stack[frame.height :]
    f.out += JCC_UNKNOWN[cc ^ 1]
    frame.otherwise = len(f.out) - 4
    f.frames.append(frame)
    return pos


def else_(f: FunctionCompiler, pos: int, row: None) -> int:
    frame = f.frames[-1]
    if not f.dead:
        f.move_results(frame)
        f.jump(frame)
    f.patch(frame.otherwise)
    f.forget_flags()
    frame.otherwise = -1
    frame.kind = ELSE
    f.reset(frame.height)
    if frame.start is not None:
        f.stack.extend(frame.start)
    f.dead = False
    return pos


def end(f: FunctionCompiler, pos: int, row: None) -> int:
    frame = f.frames[-1]
    kind = frame.kind
    if kind == IF:
        if frame.params:
            # Without an else branch the parameters are the results.
            else_(f, pos, None)
        else:
            frame.await_end(frame.otherwise)
    elif kind == FUNCTION:
        if not f.dead:
            f.move_results(frame)
        f.exits = frame.jumps
        f.frames.pop()
        return pos
    f.frames.pop()
    jumps, entries = frame.jumps, frame.entries
    if kind == LOOP or (jumps is None and entries is None):
        # Nothing branches here.
        if f.dead:
            f.reset(frame.height)
            return skip_dead(f, pos)
        return pos
    if not f.dead:
        f.move_results(frame)
    f.dead = False
    f.forget_flags()
    if jumps is not None:
        for at in jumps:
            f.patch(at)
    if entries is not None:
        here = len(f.out)
        for at, table in entries:
            f.out[at : at + 4] = imm32(here - table)
    f.reset(frame.height)
    results = frame.results
    if len(results) == 1:
        if results[0] < 2:
            f.free &= ~(1 << RAX)
            f.push_reg(results[0], RAX)
        else:
            f.xfree &= ~1
            f.push_xmm(results[0], 0)
    elif results:
        f.push_slots(results)
    return pos


# -- branches ------------------------------------------------------------------------------------


def stop(f: FunctionCompiler, pos: int) -> int:
    """The rest of the frame is not executed: go on at its end."""
    f.dead = True
    f.reset(f.frames[-1].height)
    return skip_dead(f, pos)


def br(f: FunctionCompiler, pos: int, row: None) -> int:
    label, pos = f.u32(pos)
    frame = f.frames[-1 - label]
    f.move_results(frame)
    f.jump(frame)
    return stop(f, pos)


def return_(f: FunctionCompiler, pos: int, row: None) -> int:
    frame = f.frames[0]
    f.move_results(frame)
    f.jump(frame)
    return stop(f, pos)


def unreachable(f: FunctionCompiler, pos: int, row: None) -> int:
    f.trap(TrapCode.UNREACHABLE)
    return stop(f, pos)


def br_if(f: FunctionCompiler, pos: int, row: None) -> int:
    operand = f.stack.pop()
    reg = f.reg(operand)
    if not f.has_zero_flag(reg):
        f.out += _TEST32[reg << 4 | reg]
    f.drop(reg)
    return branch_if(f, pos, Condition.NE)


def branch_if(f: FunctionCompiler, pos: int, cc: int) -> int:
    label = f.code[pos]
    pos += 1
    if label >= 0x80:
        label, pos = f.u32(pos - 1)
    frame = f.frames[-1 - label]
    if not (frame.params if frame.kind == LOOP else frame.results):
        f.jump_if(cc, frame)
    else:
        take_if(f, frame, cc)
    return pos


def take_if(f: FunctionCompiler, frame: Frame, cc: int) -> None:
    """Branch to a frame on a condition."""
    if not (frame.params if frame.kind == LOOP else frame.results):
        f.jump_if(cc, frame)
        return
    f.out += JCC_UNKNOWN[cc ^ 1]
    at = len(f.out) - 4
    f.move_results(frame)
    f.jump(frame)
    f.patch(at)


def condition(f: FunctionCompiler, pos: int, cc: int) -> int:
    """Flags are set: use them for what follows, or push an i32."""
    code = f.code
    following = code[pos]
    while following == EQZ:
        cc ^= 1
        pos += 1
        following = code[pos]
    if following == BR_IF:
        return branch_if(f, pos + 1, cc)
    if following == IF_OP:
        return _if_condition(f, pos + 1, cc)
    if following == SELECT:
        select_if(f, cc)
        return pos + 1
    reg = f.tmp()
    f.out += _SET[cc][reg] + _MOVZX8[reg << 4 | reg]
    f.push_reg(I32, reg)
    return pos


def br_table(f: FunctionCompiler, pos: int, row: None) -> int:
    count, pos = f.u32(pos)
    labels: list[int] = []
    for _ in range(count + 1):
        label, pos = f.u32(pos)
        labels.append(label)
    index = f.stack.pop()
    reg = f.reg(index)
    out = f.out
    frame = f.frames[-1 - labels[-1]]
    with_values = bool(frame.params if frame.kind == LOOP else frame.results)
    # The operands are kept in their registers by the paths below; the table needs two of its own.
    f.release(index)
    low, high = _two_registers(f, reg, with_values)
    # mov low, count; cmp reg, low; cmovb low, reg; lea high, [rip + table];
    # movsxd low, [high + low * 4]; add low, high; jmp low
    out += bytes([0xB8 | low]) + imm32(count)
    out += INSTRUCTIONS["cmp32"].rr[reg << 4 | low] + _CMOV[0][Condition.B][low << 4 | reg]
    out += bytes([0x48, 0x8D, high << 3 | 5]) + imm32(9)
    out += bytes([0x48, 0x63, low << 3 | 4, 0x80 | low << 3 | high])
    out += bytes([0x48, 0x01, 0xC0 | high << 3 | low, 0xFF, 0xE0 | low])
    table = len(out)
    out += bytes(4 * len(labels))
    via: dict[int, int] = {}
    for i, label in enumerate(labels):
        frame = f.frames[-1 - label]
        at = table + 4 * i
        if not with_values and frame.kind not in (LOOP, FUNCTION):
            if frame.entries is None:
                frame.entries = []
            frame.entries.append((at, table))
            continue
        place = via.get(label)
        if place is None:
            place = len(out)
            if frame.kind == LOOP and not with_values:
                place = frame.position
            else:
                f.move_results(frame)
                f.jump(frame)
            via[label] = place
        out[at : at + 4] = imm32(place - table)
    return stop(f, pos)


def _two_registers(f: FunctionCompiler, reg: int, with_values: bool) -> tuple[int, int]:
    """Two of the first four registers for a jump table, other than `reg`; nothing is left alive
    but the operands that a branch takes along."""
    if with_values:
        f.spill_below(len(f.stack))
    low, high = (r for r in (RAX, RCX, 2) if r != reg) if reg < 3 else (RAX, RCX)
    return low, high


# -- select --------------------------------------------------------------------------------------


def select(f: FunctionCompiler, pos: int, row: None) -> int:
    operand = f.stack.pop()
    reg = f.reg(operand)
    if not f.has_zero_flag(reg):
        f.out += _TEST32[reg << 4 | reg]
    f.drop(reg)
    select_if(f, Condition.NE)
    return pos


def select_t(f: FunctionCompiler, pos: int, row: None) -> int:
    count, pos = f.u32(pos)
    code = f.code
    while count:
        byte = code[pos]
        pos += 1
        if byte in (0x63, 0x64):
            _, pos = f.signed(pos)
        count -= 1
    return select(f, pos, None)


def select_if(f: FunctionCompiler, cc: int) -> None:
    """Flags are set: the second operand if the condition holds, else the first on top."""
    stack = f.stack
    other, chosen = stack.pop(), stack.pop()
    type_ = other >> 3 & 7
    out = f.out
    if type_ < 2:
        target = f.own(chosen)
        kind = other & KIND
        if kind == SLOT:
            at = f.slot_base - f.slot_size * (other >> PAYLOAD)
            out += _CMOV_RF[type_][cc ^ 1][at << 4 | target]
        else:
            reg = f.reg(other)
            out += _CMOV[type_][cc ^ 1][target << 4 | reg]
            f.drop(reg)
        f.push_reg(type_, target)
        return
    if chosen & KIND == 2:
        xmm = chosen >> PAYLOAD
        at = f.skip_if(cc)
        f.xload(xmm, other)
        f.land(at)
        f.release(other)
    else:
        # xload of a constant zero leaves the flags alone.
        xmm = f.xtmp()
        f.xload(xmm, other)
        at = f.skip_if(cc ^ 1)
        f.xload(xmm, chosen)
        f.land(at)
        f.release(other)
    f.push_xmm(type_, xmm)


def nop(f: FunctionCompiler, pos: int, row: None) -> int:
    return pos


ROWS: Final[dict[str, Handler]] = {
    "unreachable": (unreachable, None),
    "nop": (nop, None),
    "block": (block, None),
    "loop": (loop, None),
    "if": (if_, None),
    "else": (else_, None),
    "end": (end, None),
    "br": (br, None),
    "br_if": (br_if, None),
    "br_table": (br_table, None),
    "return": (return_, None),
    "select": (select, None),
    "select t": (select_t, None),
}
