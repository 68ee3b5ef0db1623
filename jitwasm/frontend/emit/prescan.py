"""A quick look at a body before it is translated: which locals does each loop assign?

A regular expression made from the instruction table skips what does not matter, so that most of
the work is done in C. Malformed code may be misread; then the answer is worthless but harmless,
because translation stops at that place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from jitwasm.errors import CompileError
from jitwasm.frontend.immediates import ImmediateReader
from jitwasm.frontend.instruction import PREFIX_SHIFT, Imm, Op
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.reader import Reader

__all__ = ["count_branches", "loop_assignments"]

BLOCK, LOOP, IF, END, TRY_TABLE = 0x02, 0x03, 0x04, 0x0B, 0x1F
LOCAL_SET, LOCAL_TEE = 0x21, 0x22
_ASSIGNMENTS = frozenset({BLOCK, LOOP, IF, END, TRY_TABLE, LOCAL_SET, LOCAL_TEE})
_BRANCHES = frozenset({LOOP, IF, 0x05, 0x0C, 0x0D, 0x0E, 0xD5, 0xD6})

_LEB = rb"[\x80-\xff]*[\x00-\x7f]"
# Bit 6 of the flags says that a memory index follows.
_MEMARG = (
    rb"(?:[\x00-\x3f]|[\x80-\xbf]" + _LEB + rb"|(?:[\x40-\x7f]|[\xc0-\xff]" + _LEB + rb")"
    + _LEB + rb")" + _LEB
)  # fmt: skip
_FIXED = {
    Imm.MEMARG: _MEMARG,
    Imm.F32: b".{4}",
    Imm.F64: b".{8}",
    Imm.V128: b".{16}",
    Imm.LANES16: b".{16}",
    Imm.LANEIDX: b".",
    Imm.ORDERING: b".",
    Imm.CASTFLAGS: b".",
}
_OTHER = frozenset({Imm.BLOCKTYPE, Imm.LABELS, Imm.VALTYPES, Imm.CATCHES})
_BY_CODE = {op.code: op for op in OPCODES}


def _encoded(code: int) -> bytes:
    """The bytes of an opcode, its sub-opcode in the shortest form."""
    if code < 0x100:
        return bytes([code])
    sub = code & ((1 << PREFIX_SHIFT) - 1)
    tail = [sub] if sub < 0x80 else [sub & 0x7F | 0x80, sub >> 7]
    return bytes([code >> PREFIX_SHIFT, *tail])


@lru_cache(maxsize=None)
def _skipper(wanted: frozenset[int]) -> re.Pattern[bytes]:
    """Matches instructions that are not wanted, and the first byte of one that is, if there."""
    alternatives: dict[tuple[Imm, ...], list[Op]] = {}
    for op in OPCODES:
        if op.code not in wanted and not _OTHER.intersection(op.immediates):
            alternatives.setdefault(op.immediates, []).append(op)
    patterns: list[bytes] = []
    for kinds, ops in alternatives.items():
        short = b"".join(re.escape(_encoded(op.code)) for op in ops if op.code < 0x100)
        names = [b"[" + short + b"]"] if short else []
        names += [re.escape(_encoded(op.code)) for op in ops if op.code >= 0x100]
        immediates = b"".join(_FIXED.get(kind, _LEB) for kind in kinds)
        patterns.append(b"(?:" + b"|".join(names) + b")" + immediates)
    starts = b"".join(re.escape(bytes([code])) for code in wanted)
    # The bound keeps the matcher's memory small.
    return re.compile(
        b"(?:" + b"|".join(patterns) + b"){0,1000}([" + starts + b"]?)", re.DOTALL
    )


def _scan(
    code: bytes, pos: int, wanted: frozenset[int], immediates: ImmediateReader
) -> Iterator[tuple[int, int]]:
    """(opcode, position of its immediates) of the wanted instructions."""
    match = _skipper(wanted).match
    end = len(code)
    while pos < end:
        found = match(code, pos)
        assert found is not None
        after = found.end()
        if found[1]:
            opcode = code[after - 1]
            yield opcode, after
            after = _behind(_BY_CODE[opcode], code, after, immediates)
        elif after == pos:
            # A rare instruction, or an unusual encoding of one.
            after = _behind_any(code, pos, immediates)
        pos = after


def _behind(op: Op, code: bytes, pos: int, immediates: ImmediateReader) -> int:
    if not op.immediates or pos < len(code) and code[pos] < 0x80 and len(op.immediates) == 1:
        simple = op.immediates and op.immediates[0] not in _OTHER
        if not op.immediates or simple or (op.code in (BLOCK, LOOP, IF) and code[pos] != 0x63
                                           and code[pos] != 0x64):
            return pos + len(op.immediates)
    reader = Reader(code, pos)
    immediates.read(op.immediates, reader)
    return reader.pos


def _behind_any(code: bytes, pos: int, immediates: ImmediateReader) -> int:
    reader = Reader(code, pos)
    opcode = reader.u8()
    op = _BY_CODE.get(opcode)
    if op is None:
        op = _BY_CODE.get(opcode << PREFIX_SHIFT | reader.u32())
    if op is None:
        raise reader.malformed("illegal opcode")
    immediates.read(op.immediates, reader)
    return reader.pos


def loop_assignments(
    code: bytes, pos: int, immediates: ImmediateReader
) -> Iterator[frozenset[int]]:
    """The locals assigned inside each loop, in the order in which the loops begin."""
    loops: list[set[int]] = []
    frames: list[set[int] | None] = []
    open_loops: list[set[int]] = []
    try:
        for opcode, at in _scan(code, pos, _ASSIGNMENTS, immediates):
            if opcode in (LOCAL_SET, LOCAL_TEE):
                if open_loops:
                    local = code[at]
                    open_loops[-1].add(local if local < 0x80 else Reader(code, at).u32())
            elif opcode == LOOP:
                assigned: set[int] = set()
                loops.append(assigned)
                frames.append(assigned)
                open_loops.append(assigned)
            elif opcode != END:
                frames.append(None)
            elif frames and frames.pop() is not None:
                done = open_loops.pop()
                if open_loops:
                    open_loops[-1] |= done
    except (CompileError, IndexError):
        pass
    return map(frozenset, loops)


def count_branches(code: bytes, pos: int, immediates: ImmediateReader) -> int:
    """How many instructions branch."""
    try:
        return sum(1 for _ in _scan(code, pos, _BRANCHES, immediates))
    except CompileError:
        return 0
