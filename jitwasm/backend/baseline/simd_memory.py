"""Vector loads and stores."""

from __future__ import annotations

from jitwasm.backend.baseline.assembler import Instruction, imm8
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.isa import InstructionSet
from jitwasm.backend.baseline.memory import address
from jitwasm.backend.baseline.operands import V128
from jitwasm.backend.baseline.simd import broadcast

__all__ = ["rows_of"]


class Access:
    __slots__ = ("op", "size")

    def __init__(self, op: Instruction, size: int) -> None:
        self.op = op
        self.size = size


def load(f: FunctionCompiler, pos: int, row: Access) -> int:
    base, index, disp, pos = address(f, pos, row.size)
    xmm = f.xtmp()
    f.out += row.op.spec.memory(xmm, base, disp, index)
    f.push_xmm(V128, xmm)
    return pos


def store(f: FunctionCompiler, pos: int, row: Access) -> int:
    value = f.xreg(f.stack.pop())
    base, index, disp, pos = address(f, pos, row.size)
    f.out += row.op.spec.memory(value, base, disp, index)
    f.xdrop(value)
    return pos


def load_lane(f: FunctionCompiler, pos: int, row: Access) -> int:
    value = f.xreg(f.stack.pop())
    base, index, disp, pos = address(f, pos, row.size)
    f.xdrop(value)
    xmm = f.xtmp()
    f.out += row.op.spec.memory(xmm, base, disp, index, v=value) + imm8(f.code[pos])
    f.push_xmm(V128, xmm)
    return pos + 1


def store_lane(f: FunctionCompiler, pos: int, row: Access) -> int:
    value = f.xreg(f.stack.pop())
    base, index, disp, pos = address(f, pos, row.size)
    f.out += row.op.spec.memory(value, base, disp, index) + imm8(f.code[pos])
    f.xdrop(value)
    return pos + 1


def load_splat(f: FunctionCompiler, pos: int, row: Access) -> int:
    """Into the lowest lane, and from there into all."""
    base, index, disp, pos = address(f, pos, row.size)
    xmm = f.xtmp()
    f.out += row.op.spec.memory(xmm, base, disp, index, v=xmm)
    if row.size < 4:
        f.out += imm8(0)
    broadcast(f, xmm, xmm, row.size)
    f.push_xmm(V128, xmm)
    return pos


def rows_of(isa: InstructionSet) -> dict[str, Handler]:
    """Loads and stores of vectors."""

    def access(op: str, size: int) -> Access:
        return Access(isa[op], size)

    rows: dict[str, Handler] = {
        "v128.load": (load, access("load_v128", 16)),
        "v128.store": (store, access("store_v128", 16)),
        "v128.load32_zero": (load, access("load_f32", 4)),
        "v128.load64_zero": (load, access("load_f64", 8)),
    }
    for shape, lanes in (("8x8", "bw"), ("16x4", "wd"), ("32x2", "dq")):
        rows[f"v128.load{shape}_s"] = (load, access(f"pmovsx{lanes}", 8))
        rows[f"v128.load{shape}_u"] = (load, access(f"pmovzx{lanes}", 8))
    for bits, lane in ((8, "b"), (16, "w"), (32, "d"), (64, "q")):
        rows[f"v128.load{bits}_lane"] = (load_lane, access(f"pinsr{lane}", bits // 8))
        rows[f"v128.store{bits}_lane"] = (store_lane, access(f"pextr{lane}", bits // 8))
    for bits, lane, move in (
        (8, "b", "pinsrb"),
        (16, "w", "pinsrw"),
        (32, "d", "load_f32"),
        (64, "q", "load_f64"),
    ):
        if isa.has(f"pbroadcast{lane}"):
            rows[f"v128.load{bits}_splat"] = (load, access(f"pbroadcast{lane}", bits // 8))
        else:
            rows[f"v128.load{bits}_splat"] = (load_splat, access(move, bits // 8))
    return rows
