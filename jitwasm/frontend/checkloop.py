"""The loop over a body's instructions that checks each of them.

What is most frequent is done in the loop; the rest are calls of handlers through a table, or, where
this package is machine code, of the most frequent ones as the C functions that they are then.
"""

from __future__ import annotations

from types import FunctionType

from jitwasm.errors import CompileError, MalformedError
from jitwasm.frontend import checkrules
from jitwasm.frontend.checker import Checker, Entry, Rule
from jitwasm.frontend.leb128 import UNEXPECTED_END
from jitwasm.types import I32, ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from mypy_extensions import i64

__all__ = ["Dispatch", "check"]

_DIRECT: Final[tuple[Any, ...]] = (
    checkrules.block,
    checkrules.end,
    checkrules.br_if,
    checkrules.int_const,
    checkrules.load,
    checkrules.store,
    checkrules.call,
    checkrules.local_get,
    checkrules.local_set,
    checkrules.local_tee,
    checkrules.br,
    checkrules.if_,
    checkrules.select,
    checkrules.call_indirect,
)
"""What `_call` knows by its place here, counted from one."""


class Dispatch:
    """How instructions are checked, by first byte.

    Attributes:
        entries: handler and row.
        rules: of those that are one byte and pop one or two operands.
        kinds: of `_call`.
        sizes, values: of loads and stores: the exponent of the size, and the value's type.
    """

    def __init__(self, entries: tuple[Entry, ...], rules: tuple[Rule | None, ...]) -> None:
        self.entries = entries
        self.rules = rules
        kinds = {handler: number for number, handler in enumerate(_DIRECT, 1)}
        self.kinds: bytes = bytes([kinds.get(handler, 0) for handler, _ in entries])
        self.sizes: list[int] = [0] * len(entries)
        self.values: list[ValType] = [I32] * len(entries)
        for opcode, (handler, row) in enumerate(entries):
            if handler in (checkrules.load, checkrules.store):
                self.values[opcode], self.sizes[opcode] = row


def check(c: Checker, dispatch: Dispatch, at: int) -> None:
    """Check all instructions from the position `at` on."""
    end = len(c.code)
    c.position = at
    try:
        _run(c, dispatch)
    except CompileError as error:
        if error.offset is None:
            raise type(error)(error.message, c.base + c.position) from None
        raise
    except IndexError:
        # Handlers read bytes without looking where the body ends.
        if c.position + 32 < end:
            raise
        raise MalformedError(UNEXPECTED_END, c.base + end) from None
    if c.frames:
        raise MalformedError(UNEXPECTED_END, c.base + end)


def _run(c: Checker, dispatch: Dispatch) -> None:
    code, types, local_types, i32, compiled = c.code, c.types, c.local_types, I32, COMPILED
    entries, rules, kinds = dispatch.entries, dispatch.rules, dispatch.kinds
    sizes, values, plain_memory = dispatch.sizes, dispatch.values, c.declared.plain_memory
    short: i64 = min(len(local_types), 0x80)
    pos: i64 = c.position
    end: i64 = len(code)
    try:
        while pos < end:
            opcode: i64 = code[pos]
            if opcode < 0x23:
                if opcode >= 0x20:  # local.get, local.set, local.tee
                    local: i64 = code[pos + 1]
                    if local < short:
                        type_ = local_types[local]
                        if opcode == 0x20:
                            types.append(type_)
                            pos += 2
                            continue
                        if types[-1] is type_:
                            if opcode == 0x21:
                                types.pop()
                            pos += 2
                            continue
            elif opcode == 0x41:  # i32.const
                if code[pos + 1] < 0x80:
                    types.append(i32)
                    pos += 2
                    continue
            elif opcode < 0x3F:
                small = opcode >= 0x28 and code[pos + 1] <= sizes[opcode]
                if small and plain_memory and code[pos + 2] < 0x80:
                    if opcode < 0x36:  # loads
                        if types[-1] is i32:
                            types[-1] = values[opcode]
                            pos += 3
                            continue
                    elif types[-1] is values[opcode] and types[-2] is i32:
                        del types[-2:]
                        pos += 3
                        continue
            else:
                rule = rules[opcode]
                if rule is not None and types[-1] is rule[0]:
                    second = rule[1]
                    if second is None or types[-2] is second:
                        if second is not None:
                            types.pop()
                        types[-1] = rule[2]
                        pos += 1
                        continue
            handler, row = entries[opcode]
            if compiled and kinds[opcode]:
                pos = _call(c, pos + 1, kinds[opcode], row)
            else:
                pos = handler(c, pos + 1, row)
    finally:
        c.position = pos


COMPILED: Final = not isinstance(_run, FunctionType)
"""Whether this module is machine code."""


def _call(c: Checker, pos: i64, kind: i64, row: Any) -> i64:
    if kind == 1:
        return checkrules.block(c, pos, row)
    if kind == 2:
        return checkrules.end(c, pos, None)
    if kind == 3:
        return checkrules.br_if(c, pos, None)
    if kind == 4:
        return checkrules.int_const(c, pos, row)
    if kind == 5:
        return checkrules.load(c, pos, row)
    if kind == 6:
        return checkrules.store(c, pos, row)
    if kind == 7:
        return checkrules.call(c, pos, None)
    return _call_others(c, pos, kind)


def _call_others(c: Checker, pos: i64, kind: i64) -> i64:
    if kind == 8:
        return checkrules.local_get(c, pos, None)
    if kind == 9:
        return checkrules.local_set(c, pos, None)
    if kind == 10:
        return checkrules.local_tee(c, pos, None)
    if kind == 11:
        return checkrules.br(c, pos, None)
    if kind == 12:
        return checkrules.if_(c, pos, None)
    if kind == 13:
        return checkrules.select(c, pos, None)
    return checkrules.call_indirect(c, pos, None)
