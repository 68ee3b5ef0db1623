"""From a function body to LLVM IR: decode, validate and emit in one pass.

The loop below reads an opcode and calls the handler that the dispatch list has for it; each
handler gives the position of the next instruction. Errors get their place here.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from jitwasm.config import Config
from jitwasm.errors import CompileError, MalformedError
from jitwasm.frontend.emit.context import ModuleContext
from jitwasm.frontend.emit.control import start_function
from jitwasm.frontend.emit.dispatch import handlers
from jitwasm.frontend.emit.frame import finish
from jitwasm.frontend.emit.fuel import metered
from jitwasm.frontend.emit.function import Entry, FunctionEmitter, parameter_values, zero
from jitwasm.frontend.emit.loopentry import START, LoopEntry, NoLoopEntry
from jitwasm.frontend.emit.prescan import (
    count_branches,
    loop_assignments,
    loops_around,
    skip_instruction,
)
from jitwasm.frontend.emit.stacklimit import check_stack
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.leb128 import UNEXPECTED_END
from jitwasm.frontend.localdecls import read_locals
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.reader import Reader
from jitwasm.ir import FunctionIR
from jitwasm.types import RefType, ValType

__all__ = ["Translator", "check_instructions"]

SNAPSHOT_LIMIT = 2_000_000
"""Locals times branches beyond which a function's locals are kept in stack slots: every branch
takes a copy of the list of locals along. The largest function of 58 real modules has 1.0 million.
"""
_BRANCH_BYTES = (0x03, 0x04, 0x05, 0x0C, 0x0D, 0x0E, 0xD5, 0xD6)


class Translator:
    """Translates the bodies of one module, in any order."""

    def __init__(self, info: ModuleInfo, config: Config, mark_offsets: bool = False) -> None:
        """Prepare for a module.

        Args:
            info: the module, as far as the code section.
            config: how to compile it.
            mark_offsets: put a comment `; @<offset>` before what each instruction becomes.
        """
        self._module = ModuleContext(info, config)
        self._mark_offsets = mark_offsets

    def translate(self, body: FunctionBody) -> FunctionIR:
        """Validate a body and emit its IR.

        Raises:
            CompileError: with the offset in the module, the function's index and its name.
        """
        try:
            f, pos = self._begin(body)
            entries = _start(f, pos, self._mark_offsets)
            _run(f, pos, len(f.code), entries)
            return _end(f)
        except CompileError as error:
            name = self._module.info.function_name(body.funcidx)
            raise type(error)(error.message, error.offset, body.funcidx, name) from None

    def pieces(
        self, body: FunctionBody, size: int, loops: Sequence[int] = ()
    ) -> Generator[None, None, FunctionIR]:
        """Translate a valid body, stopping after each `size` bytes of it.

        For threads in the background: each piece keeps the GIL for as long as it takes.

        Args:
            loops: begin at the last of these loops, as `loops_around` gives them.

        Raises:
            NoLoopEntry: that cannot be done.
        """
        f, pos = self._begin(body, loops)
        entries = _start(f, pos, self._mark_offsets)
        yield
        while pos < len(f.code):
            pos = _run(f, pos, min(pos + size, len(f.code)), entries)
            yield
        return _end(f)

    def loops_around(self, body: FunctionBody, at: int) -> list[int]:
        """The positions in a valid body of the loops that are open at a position, from outside
        in."""
        start = self._begin(body)[1]
        return loops_around(body.body, start, at, self._module.immediates)

    def _begin(self, body: FunctionBody, loops: Sequence[int] = ()) -> tuple[FunctionEmitter, int]:
        """The emitter at the start of the code, and that position."""
        module, code = self._module, body.body
        reader = Reader(code, 0, None, body.offset)
        params = module.func_types[body.funcidx].params
        local_types: list[ValType] = list(params)
        values = parameter_values(module.convs[body.funcidx])
        uninitialized: list[int] = []
        for count, type_ in read_locals(reader, module.info, module.config, len(params)):
            if isinstance(type_, RefType) and not type_.nullable:
                uninitialized += range(len(local_types), len(local_types) + count)
            local_types += [type_] * count
            values += [zero(type_)] * count
        in_memory = self._has_too_many_locals(code, reader.pos, len(local_types))
        entry = None
        if loops:
            if in_memory or uninitialized:
                raise NoLoopEntry("locals in memory")
            entry = LoopEntry(loops, local_types)
            values[: len(params)] = ["poison"] * len(params)
        f = FunctionEmitter(
            module, body.funcidx, code, body.offset, local_types, values, in_memory, entry
        )
        f.uninitialized.update(uninitialized)
        if b"\x03" in code and not in_memory:
            f.assigned = loop_assignments(code, reader.pos, len(local_types), module.immediates)
        return f, reader.pos

    def _has_too_many_locals(self, code: bytes, pos: int, count: int) -> bool:
        if count * len(code) <= SNAPSHOT_LIMIT:
            return False
        bound = sum(map(code.count, map(_one_byte, _BRANCH_BYTES)))
        if count * bound <= SNAPSHOT_LIMIT:
            return False
        return count * count_branches(code, pos, self._module.immediates) > SNAPSHOT_LIMIT


def _one_byte(value: int) -> bytes:
    return bytes([value])


def _start(f: FunctionEmitter, pos: int, mark_offsets: bool) -> Sequence[Entry]:
    """Begin the body; the handlers for its instructions, the first of which is at `pos`."""
    tracked = f.in_memory or bool(f.uninitialized)
    entries = handlers(f.module.config.features, tracked)
    if f.module.config.fuel is not None:
        entries = metered(f, pos, entries)
    if mark_offsets:
        entries = tuple((_mark, entry) for entry in entries)
    start_function(f)
    if f.entry is not None:
        f.start_block(START)
    elif f.module.config.limits.stack_bytes is not None:
        check_stack(f)
    return entries


def _run(f: FunctionEmitter, pos: int, end: int, entries: Sequence[Entry]) -> int:
    """Handle the instructions that begin between `pos` and `end`; where the next one begins."""
    code = f.code
    start = pos
    try:
        while pos < end:
            start = pos
            handler, row = entries[code[pos]]
            pos = handler(f, pos + 1, row)
    except CompileError as error:
        if error.offset is None:
            raise type(error)(error.message, f.base + start) from None
        raise
    except IndexError:
        _require_whole(f, start)
        raise
    return pos


def check_instructions(f: FunctionEmitter, pos: int) -> None:
    """Handle all instructions from `pos` on, where only their validity matters."""
    _run(f, pos, len(f.code), _start(f, pos, False))
    _require_end(f)


def _end(f: FunctionEmitter) -> FunctionIR:
    _require_end(f)
    return finish(f)


def _require_end(f: FunctionEmitter) -> None:
    if f.frames:
        raise MalformedError(UNEXPECTED_END, f.base + len(f.code))


def _mark(f: FunctionEmitter, pos: int, entry: Entry) -> int:
    """Handle an instruction behind a comment that says where it is."""
    f.line(f"; @{f.base + pos - 1}")
    handler, row = entry
    return handler(f, pos, row)


def _require_whole(f: FunctionEmitter, start: int) -> None:
    """Handlers read bytes without looking where the body ends. Say so if the one at `start` did;
    if not, the IndexError is a defect of ours."""
    try:
        skip_instruction(f.code, start, f.module.immediates)
    except CompileError:
        raise MalformedError(UNEXPECTED_END, f.base + len(f.code)) from None
