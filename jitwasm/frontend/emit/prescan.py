"""A quick look at a body before it is translated: which locals does each loop assign?

A regular expression made from the instruction table skips what does not matter, so that most of
the work is done in C. Malformed code may be misread; then the answer is worthless but harmless,
because translation stops at that place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from jitwasm.errors import CompileError
from jitwasm.frontend.immediates import ImmediateReader
from jitwasm.frontend.instruction import PREFIX_SHIFT, Imm, Op
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.reader import Reader

__all__ = ["count_branches", "loop_assignments", "loops_around", "skip_instruction"]

_BLOCK, _LOOP, _IF, _ELSE, _END, _TRY_TABLE = 0x02, 0x03, 0x04, 0x05, 0x0B, 0x1F
_BR, _BR_IF, _BR_TABLE, _BR_ON_NULL, _BR_ON_NON_NULL = 0x0C, 0x0D, 0x0E, 0xD5, 0xD6
_LOCAL_SET, _LOCAL_TEE = 0x21, 0x22

_LEB = rb"[\x80-\xff]*[\x00-\x7f]"
_BLOCKTYPE = rb"(?:[\x63\x64])?" + _LEB
# Bit 6 of the flags says that a memory index follows.
_FLAGS = rb"(?:[\x00-\x3f]|[\x80-\xbf]%b|(?:[\x40-\x7f]|[\xc0-\xff]%b)%b)" % (_LEB, _LEB, _LEB)
_FIXED = {
    Imm.MEMARG: _FLAGS + _LEB,
    Imm.F32: b".{4}",
    Imm.F64: b".{8}",
    Imm.V128: b".{16}",
    Imm.LANES16: b".{16}",
    Imm.LANEIDX: b".",
    Imm.ORDERING: b".",
    Imm.CASTFLAGS: b".",
}
"""Patterns of immediates; of those that are not here and not in `_OTHER`, an integer's."""
_OTHER = frozenset({Imm.BLOCKTYPE, Imm.LABELS, Imm.VALTYPES, Imm.CATCHES})
_BY_CODE = {op.code: op for op in OPCODES}


def _group(ops: list[Op]) -> bytes:
    """Alternatives for instructions by their last byte, the frequent kinds of immediates first."""
    by_kinds: dict[bytes, list[bytes]] = {}
    for op in ops:
        immediates = b"".join(_FIXED.get(kind, _LEB) for kind in op.immediates)
        by_kinds.setdefault(immediates, []).append(re.escape(bytes([op.code & 0xFF])))
    order = sorted(by_kinds, key=lambda immediates: (immediates != _LEB, immediates))
    return b"|".join(b"[" + b"".join(by_kinds[kind]) + b"]" + kind for kind in order)


@cache
def _skipper(*wanted: tuple[bytes, bytes]) -> re.Pattern[bytes]:
    """Matches instructions that are not wanted, and one that is behind them, if there.

    `wanted` are (opcodes, pattern of the immediates); each is a group of the match.
    """
    codes = frozenset(b"".join(opcodes for opcodes, _ in wanted))
    simple: list[Op] = []
    prefixed: dict[int, list[Op]] = {}
    for op in OPCODES:
        if op.code in codes or _OTHER.intersection(op.immediates):
            continue
        if op.code < 0x100:
            simple.append(op)
        elif op.code & ((1 << PREFIX_SHIFT) - 1) < 0x80:
            prefixed.setdefault(op.code >> PREFIX_SHIFT, []).append(op)
    patterns = [_group(simple)]
    for prefix, ops in prefixed.items():
        patterns.append(re.escape(bytes([prefix])) + b"(?:" + _group(ops) + b")")
    ends = [b"[" + re.escape(opcodes) + b"](" + pattern + b")" for opcodes, pattern in wanted]
    # The bound keeps the matcher's memory small.
    skipped = b"(?:" + b"|".join(patterns) + b"){0,1000}"
    return re.compile(skipped + b"(?:" + b"|".join(ends) + b")?", re.DOTALL)


def skip_instruction(code: bytes, pos: int, immediates: ImmediateReader) -> int:
    """The position behind the instruction at `pos`, whatever it is and however it is encoded."""
    reader = Reader(code, pos)
    opcode = reader.u8()
    op = _BY_CODE.get(opcode)
    if op is None:
        op = _BY_CODE.get(opcode << PREFIX_SHIFT | reader.u32())
    if op is None:
        raise reader.malformed("illegal opcode")
    immediates.read(op.immediates, reader)
    return reader.pos


def _decode(integer: bytes) -> int:
    return integer[0] if len(integer) == 1 else Reader(integer).u32()


def loop_assignments(
    code: bytes, pos: int, locals_: int, immediates: ImmediateReader
) -> Iterator[frozenset[int]]:
    """Which of so many locals are assigned inside each loop, in the order of the loops' starts."""
    match = _skipper(
        (bytes([_LOCAL_SET, _LOCAL_TEE]), _LEB),
        (bytes([_END]), b""),
        (bytes([_BLOCK, _IF]), _BLOCKTYPE),
        (bytes([_LOOP]), _BLOCKTYPE),
    ).match
    loops: list[set[bytes]] = []
    frames: list[set[bytes] | None] = []
    enclosing: list[set[bytes]] = []
    end = len(code)
    try:
        while pos < end:
            found = match(code, pos)
            assert found is not None
            kind, after = found.lastindex, found.end()
            if kind == 1:
                if enclosing:
                    enclosing[-1].add(found[1])
            elif kind == 2:
                if frames and frames.pop() is not None:
                    done = enclosing.pop()
                    if enclosing:
                        enclosing[-1] |= done
            elif kind == 3:
                frames.append(None)
            elif kind == 4:
                assigned: set[bytes] = set()
                loops.append(assigned)
                frames.append(assigned)
                enclosing.append(assigned)
            elif after == pos:
                if code[pos] == _TRY_TABLE:
                    frames.append(None)
                after = skip_instruction(code, pos, immediates)
            pos = after
        known = range(locals_).__contains__
        return iter([frozenset(filter(known, map(_decode, names))) for names in loops])
    except CompileError:
        return iter(())


def loops_around(code: bytes, pos: int, at: int, immediates: ImmediateReader) -> list[int]:
    """The positions of the loops that are open at `at`, from outside in; `pos` is where the code
    begins. The body is valid."""
    match = _skipper(
        (bytes([_END]), b""), (bytes([_BLOCK, _IF]), _BLOCKTYPE), (bytes([_LOOP]), _BLOCKTYPE)
    ).match
    frames: list[int] = []
    while pos < at:
        found = match(code, pos)
        assert found is not None
        kind, after = found.lastindex, found.end()
        # The instruction that ended the match may lie behind.
        if kind is not None and found.start(kind) - 1 >= at:
            break
        if kind == 1:
            frames.pop()
        elif kind == 2:
            frames.append(-1)
        elif kind == 3:
            frames.append(found.start(3) - 1)
        elif after == pos:
            if code[pos] == _TRY_TABLE:
                frames.append(-1)
            after = skip_instruction(code, pos, immediates)
        pos = after
    return [position for position in frames if position >= 0]


def count_branches(code: bytes, pos: int, immediates: ImmediateReader) -> int:
    """How many instructions branch."""
    match = _skipper(
        (bytes([_BR, _BR_IF, _BR_ON_NULL, _BR_ON_NON_NULL]), _LEB),
        (bytes([_IF, _LOOP]), _BLOCKTYPE),
        (bytes([_ELSE]), b""),
    ).match
    count, end = 0, len(code)
    try:
        while pos < end:
            found = match(code, pos)
            assert found is not None
            after = found.end()
            if found.lastindex is not None:
                count += 1
            elif after == pos:
                count += code[pos] == _BR_TABLE
                after = skip_instruction(code, pos, immediates)
            pos = after
    except CompileError:
        pass
    return count
