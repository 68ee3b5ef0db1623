"""Conversions (specification: Execution, "Conversions")."""

from __future__ import annotations

from typing import NamedTuple

from jitwasm.frontend.emit.function import Entry, FunctionEmitter
from jitwasm.frontend.emit.numeric import fence
from jitwasm.frontend.stacks import COND
from jitwasm.types import F32, F64, I32, I64, ValType

__all__ = ["ROWS"]


class Cast(NamedTuple):
    """An LLVM cast from one value type to another."""

    source: ValType
    target: ValType
    op: str


def _cast(f: FunctionEmitter, pos: int, row: Cast) -> int:
    source, target, op = row
    f.push(target, f.op(f"{op} {source.ir} {f.pop(source)} to {target.ir}"))
    return pos


def _extend_u(f: FunctionEmitter, pos: int, row: Cast) -> int:
    if f.types[-1] is COND:
        f.types.pop()
        f.push(I64, f.op(f"zext i1 {f.vals.pop()} to i64"))
        return pos
    return _cast(f, pos, row)


def _sign_extend(f: FunctionEmitter, pos: int, row: tuple[ValType, str]) -> int:
    type_, narrow = row
    low = f.op(f"trunc {type_.ir} {f.pop(type_)} to {narrow}")
    f.push(type_, f.op(f"sext {narrow} {low} to {type_.ir}"))
    return pos


class Truncation(NamedTuple):
    """A float becomes an integer if it lies strictly between two bounds; `low_test` and the text
    of the bounds are LLVM's. fptosi and fptoui are undefined outside."""

    source: ValType
    target: ValType
    op: str
    low_test: str
    low: str
    high: str


def _truncate(f: FunctionEmitter, pos: int, row: Truncation) -> int:
    """The first test is the one compilers put before the instruction, so that LLVM finds it made
    already. It refuses a few values that can be converted, such as the least integer."""
    source, target, op, low_test, low, high = row
    ir = source.ir
    val = f.pop(source)
    if op == "fptosi":
        fabs = f"@llvm.fabs.{source.name}"
        f.declare(f"declare {ir} {fabs}({ir})")
        fine = f.op(f"fcmp olt {ir} {f.op(f'call {ir} {fabs}({ir} {val})')}, {high}")
    else:
        under = f.op(f"fcmp olt {ir} {val}, {high}")
        fine = f.op(f"and i1 {under}, {f.op(f'fcmp oge {ir} {val}, 0.0')}")
    below, above = f"{low_test} {ir} {val}, {low}", f"uge {ir} {val}, {high}"
    f.trap_conversion(fine, below, above, ir, val)
    f.push(target, f.op(f"{op} {ir} {val} to {target.ir}"))
    return pos


def _truncate_sat(f: FunctionEmitter, pos: int, row: Cast) -> int:
    source, target, op = row
    name = f"@llvm.{op}.sat.{target.ir}.{source.name}"
    f.declare(f"declare {target.ir} {name}({source.ir})")
    f.push(target, f.op(f"call {target.ir} {name}({source.ir} {f.pop(source)})"))
    return pos


_ROUNDS = ("fadd ", "fsub ", "fmul ", "fdiv ", "load ", "sitofp ", "uitofp ")
"""Definitions of a double that is no promoted float in disguise: arithmetic makes NaNs quiet."""


def _demote(f: FunctionEmitter, pos: int, row: None) -> int:
    """LLVM cancels `demote(promote x)`, which must make a NaN quiet, also with neg, abs, select or
    a phi between the two."""
    val = f.pop(F64)
    if val[0] == "%" and not f.definition(val).startswith(_ROUNDS):
        val = fence(f, F64, val)
    f.push(F32, f.op(f"fptrunc double {val} to float"))
    return pos


def _truncation(source: ValType, target: ValType, signed: bool) -> Truncation:
    bits = target.size * 8
    high = 2.0 ** (bits - 1 if signed else bits)
    if not signed:
        return Truncation(source, target, "fptoui", "ule", "-1.0", repr(high))
    if source is F64 and target is I32:
        # A double can lie between the last integer and the bound.
        return Truncation(source, target, "fptosi", "ule", repr(-high - 1), repr(high))
    return Truncation(source, target, "fptosi", "ult", repr(-high), repr(high))


def _rows() -> dict[str, Entry]:
    rows: dict[str, Entry] = {
        "i32.wrap_i64": (_cast, Cast(I64, I32, "trunc")),
        "i64.extend_i32_s": (_cast, Cast(I32, I64, "sext")),
        "i64.extend_i32_u": (_extend_u, Cast(I32, I64, "zext")),
        "f64.promote_f32": (_cast, Cast(F32, F64, "fpext")),
        "f32.demote_f64": (_demote, None),
        "i32.reinterpret_f32": (_cast, Cast(F32, I32, "bitcast")),
        "i64.reinterpret_f64": (_cast, Cast(F64, I64, "bitcast")),
        "f32.reinterpret_i32": (_cast, Cast(I32, F32, "bitcast")),
        "f64.reinterpret_i64": (_cast, Cast(I64, F64, "bitcast")),
        "i32.extend8_s": (_sign_extend, (I32, "i8")),
        "i32.extend16_s": (_sign_extend, (I32, "i16")),
        "i64.extend8_s": (_sign_extend, (I64, "i8")),
        "i64.extend16_s": (_sign_extend, (I64, "i16")),
        "i64.extend32_s": (_sign_extend, (I64, "i32")),
    }
    for i in (I32, I64):
        for x in (F32, F64):
            for sign, signed in (("s", True), ("u", False)):
                to_int, to_float = ("fptosi", "sitofp") if signed else ("fptoui", "uitofp")
                rows[f"{i}.trunc_{x}_{sign}"] = _truncate, _truncation(x, i, signed)
                rows[f"{i}.trunc_sat_{x}_{sign}"] = _truncate_sat, Cast(x, i, to_int)
                rows[f"{x}.convert_{i}_{sign}"] = _cast, Cast(i, x, to_float)
    return rows


ROWS = _rows()
"""mnemonic -> (handler, row)"""
