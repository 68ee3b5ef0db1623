"""Skipping instructions that are never executed. Validation has read them already."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from jitwasm.backend.baseline.function import FunctionCompiler

__all__ = ["skip_dead"]

_FIXED: Final = {
    "F32": 4,
    "F64": 8,
    "V128": 16,
    "LANES16": 16,
    "LANEIDX": 1,
    "CASTFLAGS": 1,
    "ORDERING": 1,
}
_PREFIXES: Final = range(0xFB, 0xFF)
_OPEN: Final = (0x02, 0x03, 0x04, 0x1F)
_ELSE, _END = 0x05, 0x0B


def skip_dead(f: FunctionCompiler, pos: int) -> int:
    """The position of the `else` or `end` of the current frame."""
    code = f.code
    depth = 0
    while True:
        opcode = code[pos]
        if opcode == _END:
            if not depth:
                return pos
            depth -= 1
        elif opcode == _ELSE and not depth:
            return pos
        elif opcode in _OPEN:
            depth += 1
        pos = _skip_instruction(f, pos)


def _skip_instruction(f: FunctionCompiler, pos: int) -> int:
    opcode = f.code[pos]
    pos += 1
    if opcode in _PREFIXES:
        sub, pos = f.u32(pos)
        opcode = opcode << 12 | sub
    for kind in f.program.immediates[opcode]:
        fixed = _FIXED.get(kind)
        if fixed is not None:
            pos += fixed
        elif kind == "MEMARG":
            pos = _skip_memarg(f, pos)
        elif kind == "LABELS":
            count, pos = f.u32(pos)
            for _ in range(count + 1):
                _, pos = f.u32(pos)
        elif kind == "VALTYPES":
            count, pos = f.u32(pos)
            for _ in range(count):
                pos = _skip_type(f, pos)
        elif kind == "BLOCKTYPE":
            pos = _skip_type(f, pos)
        else:
            _, pos = f.u32(pos)
    return pos


def _skip_memarg(f: FunctionCompiler, pos: int) -> int:
    flags, pos = f.u32(pos)
    if flags & 0x40:
        _, pos = f.u32(pos)
    return f.u32(pos)[1]


def _skip_type(f: FunctionCompiler, pos: int) -> int:
    if f.code[pos] in (0x63, 0x64):
        pos += 1
    return f.u32(pos)[1]
