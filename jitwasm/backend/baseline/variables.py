"""Parametric and variable instructions, constants."""

from __future__ import annotations

from jitwasm.backend.baseline.assembler import INSTRUCTIONS, VMCTX
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.operands import (
    CONST,
    F32,
    F64,
    I32,
    I64,
    KIND,
    PAYLOAD,
    REG,
    V128,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["ROWS"]

_MOV64: Final = INSTRUCTIONS["mov64"].rr
_MOV64_RB: Final = INSTRUCTIONS["mov64"].rb


def drop(f: FunctionCompiler, pos: int, row: None) -> int:
    f.release(f.stack.pop())
    return pos


def local_get(f: FunctionCompiler, pos: int, row: None) -> int:
    local, pos = f.u32(pos)
    f.stack.append(f.locals[local])
    return pos


def _assign(f: FunctionCompiler, local: int, operand: int) -> None:
    """Bring an operand to a local's place; it keeps its register."""
    le = f.locals[local]
    if operand == le:
        return
    if le in f.stack:
        f.materialise(le)
    type_ = le >> 3 & 7
    pin = f.pins[local]
    if pin >= 0:
        if type_ < 2:
            f.load(pin, operand)
        else:
            f.xload(pin, operand)
        return
    kind = operand & KIND
    home = f.homes[local]
    if kind == CONST:
        f.store(home, operand)
    elif type_ < 2:
        reg = f.reg(operand)
        f.out += f.isa.frame_store[type_][home << 4 | reg]
        if kind != REG:
            f.drop(reg)
    else:
        reg = f.xreg(operand)
        f.out += f.isa.frame_store[type_][home << 4 | reg]
        if kind != 2:
            f.xdrop(reg)


def local_set(f: FunctionCompiler, pos: int, row: None) -> int:
    local = f.code[pos]
    pos += 1
    if local >= 0x80:
        local, pos = f.u32(pos - 1)
    operand = f.stack.pop()
    _assign(f, local, operand)
    f.release(operand)
    return pos


def local_tee(f: FunctionCompiler, pos: int, row: None) -> int:
    local = f.code[pos]
    pos += 1
    if local >= 0x80:
        local, pos = f.u32(pos - 1)
    operand = f.stack.pop()
    _assign(f, local, operand)
    if f.pins[local] >= 0:
        f.release(operand)
        operand = f.locals[local]
    f.stack.append(operand)
    return pos


def _cell(f: FunctionCompiler, globalidx: int) -> tuple[int, int]:
    """Register and offset of a global's cell; the register may be a temporary one."""
    program = f.program
    if globalidx >= program.declarations.imported_globals:
        return VMCTX, program.layout.global_cell(globalidx)
    reg = f.tmp()
    f.out += _MOV64_RB[(program.layout.imported_global(globalidx) << 4 | VMCTX) << 4 | reg]
    return reg, 0


def global_get(f: FunctionCompiler, pos: int, row: None) -> int:
    globalidx, pos = f.u32(pos)
    type_ = f.program.globals[globalidx]
    base, disp = _cell(f, globalidx)
    f.drop(base)
    if type_ < 2:
        reg = f.tmp()
        f.push_reg(type_, reg)
    else:
        reg = f.xtmp()
        f.push_xmm(type_, reg)
    f.out += f.isa.loads[type_][(disp << 4 | base) << 4 | reg]
    return pos


def global_set(f: FunctionCompiler, pos: int, row: None) -> int:
    globalidx, pos = f.u32(pos)
    type_ = f.program.globals[globalidx]
    operand = f.stack.pop()
    reg = f.reg(operand) if type_ < 2 else f.xreg(operand)
    base, disp = _cell(f, globalidx)
    f.out += f.isa.stores[type_][(disp << 4 | base) << 4 | reg]
    f.drop(base)
    if type_ < 2:
        f.drop(reg)
    else:
        f.xdrop(reg)
    return pos


def int_const(f: FunctionCompiler, pos: int, type_: int) -> int:
    byte = f.code[pos]
    if byte < 0x80:
        f.stack.append(byte - (byte << 1 & 0x80) << PAYLOAD | type_ << 3 | CONST)
        return pos + 1
    high = f.code[pos + 1]
    if high < 0x80:
        value = (byte & 0x7F | high << 7) - ((high & 0x40) << 8)
        f.stack.append(value << PAYLOAD | type_ << 3 | CONST)
        return pos + 2
    value, pos = f.signed(pos)
    f.stack.append(value << PAYLOAD | type_ << 3 | CONST)
    return pos


def float_const(f: FunctionCompiler, pos: int, row: tuple[int, int]) -> int:
    type_, size = row
    bits = int.from_bytes(f.code[pos : pos + size], "little")
    f.stack.append(bits << PAYLOAD | type_ << 3 | CONST)
    return pos + size


ROWS: Final[dict[str, Handler]] = {
    "drop": (drop, None),
    "local.get": (local_get, None),
    "local.set": (local_set, None),
    "local.tee": (local_tee, None),
    "global.get": (global_get, None),
    "global.set": (global_set, None),
    "i32.const": (int_const, I32),
    "i64.const": (int_const, I64),
    "f32.const": (float_const, (F32, 4)),
    "f64.const": (float_const, (F64, 8)),
    "v128.const": (float_const, (V128, 16)),
}
