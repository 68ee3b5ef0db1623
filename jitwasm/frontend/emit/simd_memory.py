"""Vector loads and stores (specification: "Memory Instructions", v128.load to v128.store64_lane).

Addresses are checked for exactly the bytes that are accessed. A load that fills only some lanes is
a scalar or half-width load in the IR, which LLVM joins with what follows into one instruction.
"""

from __future__ import annotations

from jitwasm.frontend.emit.function import FunctionEmitter
from jitwasm.frontend.emit.memory import memarg_at
from jitwasm.frontend.emit.simd_lanes import lane_index, splat_value
from jitwasm.frontend.emit.simd_recipe import INT_SHAPES, LANES, Handler, Lanes, push_lanes, view
from jitwasm.types import V128

__all__ = ["HANDLERS"]


def _load(f: FunctionEmitter, pos: int, ir: str, size: int) -> tuple[str, int]:
    """Load `size` bytes as `ir` from the address on the stack."""
    memidx, offset, addr, pos = memarg_at(f, pos, size)
    pointer = f.mem_address(memidx, f.pop(addr), offset, size)
    return f.load(ir, pointer), pos


def load(f: FunctionEmitter, pos: int, row: None) -> int:
    val, pos = _load(f, pos, V128.ir, 16)
    f.push(V128, val)
    return pos


def load_extend(f: FunctionEmitter, pos: int, row: tuple[str, Lanes, str]) -> int:
    half, wide, extend = row
    val, pos = _load(f, pos, half, 8)
    push_lanes(f, f.op(f"{extend} {half} {val} to {wide.ir}"), wide.ir)
    return pos


def load_splat(f: FunctionEmitter, pos: int, shape: Lanes) -> int:
    val, pos = _load(f, pos, shape.lane, shape.bits // 8)
    push_lanes(f, splat_value(f, shape, val), shape.ir)
    return pos


def load_zero(f: FunctionEmitter, pos: int, shape: Lanes) -> int:
    val, pos = _load(f, pos, shape.lane, shape.bits // 8)
    lanes = f.op(f"insertelement {shape.ir} zeroinitializer, {shape.lane} {val}, i64 0")
    push_lanes(f, lanes, shape.ir)
    return pos


def load_lane(f: FunctionEmitter, pos: int, shape: Lanes) -> int:
    lanes = view(f, f.pop(V128), shape.ir)
    val, pos = _load(f, pos, shape.lane, shape.bits // 8)
    lane = lane_index(f, pos, shape)
    replaced = f"insertelement {shape.ir} {lanes}, {shape.lane} {val}, i64 {lane}"
    push_lanes(f, f.op(replaced), shape.ir)
    return pos + 1


def store(f: FunctionEmitter, pos: int, row: None) -> int:
    memidx, offset, addr, pos = memarg_at(f, pos, 16)
    val = f.pop(V128)
    f.store(V128.ir, val, f.mem_address(memidx, f.pop(addr), offset, 16))
    return pos


def store_lane(f: FunctionEmitter, pos: int, shape: Lanes) -> int:
    size = shape.bits // 8
    memidx, offset, addr, pos = memarg_at(f, pos, size)
    lane = lane_index(f, pos, shape)
    lanes = view(f, f.pop(V128), shape.ir)
    pointer = f.mem_address(memidx, f.pop(addr), offset, size)
    f.store(shape.lane, f.op(f"extractelement {shape.ir} {lanes}, i64 {lane}"), pointer)
    return pos + 1


def _handlers() -> dict[str, tuple[Handler, object]]:
    made: dict[str, tuple[Handler, object]] = {
        "v128.load": (load, None),
        "v128.store": (store, None),
        "v128.load32_zero": (load_zero, LANES["i32x4"]),
        "v128.load64_zero": (load_zero, LANES["i64x2"]),
    }
    for shape in INT_SHAPES:
        made[f"v128.load{shape.bits}_splat"] = (load_splat, shape)
        made[f"v128.load{shape.bits}_lane"] = (load_lane, shape)
        made[f"v128.store{shape.bits}_lane"] = (store_lane, shape)
    for bits, wide in ((8, LANES["i16x8"]), (16, LANES["i32x4"]), (32, LANES["i64x2"])):
        for sign, extend in (("s", "sext"), ("u", "zext")):
            half = f"<{wide.count} x i{bits}>"
            made[f"v128.load{bits}x{wide.count}_{sign}"] = (load_extend, (half, wide, extend))
    return made


HANDLERS = _handlers()
