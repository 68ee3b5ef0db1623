"""The validation algorithm by types alone (specification: Appendix, "Validation Algorithm").

This is what most of a program goes through when nothing is emitted: control, locals, calls,
loads and stores, and all instructions whose signature is in the instruction table. Others are
left to `rare` (validator.py). The stack of types has the form that stacks.py describes, so that
both sides can work on one.

The module is compiled by mypyc where wheels are built with it: what is hot is typed, machine
integers are `i64`, and nothing here is subclassed or patched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from jitwasm.errors import CompileError, InvalidError, MalformedError
from jitwasm.frontend.leb128 import UNEXPECTED_END, read_signed, read_unsigned
from jitwasm.frontend.stacks import COND, FRAME, NOT, mismatch
from jitwasm.types import BOT, I32, FuncType, GlobalType, RefType, ValType, matches

if TYPE_CHECKING:
    from mypy_extensions import i64

__all__ = [
    "HANDLERS",
    "Checker",
    "Declared",
    "Entry",
    "Frame",
    "Rule",
    "Types",
    "by_signature",
    "check",
    "float_const",
    "int_const",
    "load",
    "store",
]

Types = tuple[ValType, ...]
Rule = tuple[ValType, "ValType | None", ValType]
"""First operand, second operand if there is one, result."""
Entry = tuple[Callable[["Checker", int, Any], int], Any]
"""A handler and the row it is called with."""

BLOCK: Final = 0x02
LOOP: Final = 0x03
IF: Final = 0x04
ELSE: Final = 0x05
SHORT_LIST: Final = 16
LISTED_VALUES: Final = 1_000_000
"""Values that lists of more than `SHORT_LIST` may have in one function, all of them together."""


class Frame:
    """`ctrl_frame` of the appendix; `height` counts the `FRAME` entry at its start."""

    __slots__ = ("end_types", "height", "init_height", "opcode", "start_types", "unreachable")

    def __init__(self, opcode: int, start_types: Types, end_types: Types, height: int) -> None:
        self.opcode = opcode
        self.start_types = start_types
        self.end_types = end_types
        self.height = height
        self.unreachable: bool = False
        self.init_height: int = 0


class Declared:
    """What bodies refer to, the same for all functions of a module.

    Attributes:
        func_types: types of all functions, by funcidx.
        globals: by globalidx.
        plain_memory: whether memory 0 is there and indexed by i32.
        nesting: how deep blocks may be nested.
        block_types: parameters and results of block types of one byte.
        read_block_type: (code, position, base) -> parameters, results, position behind.
        read_memarg: (code, position, base, exponent of the size) -> index type, position behind.
        indirect: (typeidx, tableidx) of `call_indirect` -> the function type, the index type.
    """

    def __init__(
        self,
        func_types: list[FuncType],
        globals_: list[GlobalType],
        plain_memory: bool,
        nesting: int,
        block_types: dict[int, tuple[Types, Types]],
        read_block_type: Callable[[bytes, int, int], tuple[Types, Types, int]],
        read_memarg: Callable[[bytes, int, int, int], tuple[ValType, int]],
        indirect: Callable[[int, int], tuple[FuncType, ValType]],
    ) -> None:
        self.params: list[Types] = [type_.params for type_ in func_types]
        self.results: list[Types] = [type_.results for type_ in func_types]
        self.globals: list[ValType] = [type_.value for type_ in globals_]
        self.mutable: list[bool] = [type_.mutable for type_ in globals_]
        self.plain_memory = plain_memory
        self.nesting = nesting
        self.block_types = block_types
        self.read_block_type = read_block_type
        self.read_memarg = read_memarg
        self.indirect = indirect


class Checker:
    """The state of one body's validation.

    Attributes:
        declared: the module.
        code: the body; base: module offset of its first byte.
        local_types: types of the locals. All of them have default values.
        types, frames: value stack and control stack.
        results: of the function.
    """

    def __init__(
        self,
        declared: Declared,
        code: bytes,
        base: int,
        local_types: list[ValType],
        results: Types,
        rare: Callable[[Checker], Any],
    ) -> None:
        self.declared = declared
        self.code = code
        self.base: int = base
        self.local_types = local_types
        self.results = results
        # Two more entries below the first frame's, so that looking at the top three never fails.
        self.types: list[ValType] = [FRAME, FRAME, FRAME]
        self.frames: list[Frame] = [Frame(BLOCK, (), results, 3)]
        self.credit: int = LISTED_VALUES
        self._make_rare = rare
        self._rare: Any = None

    def rare(self) -> Any:
        """What the handlers of other instructions work on, made when the first one comes."""
        if self._rare is None:
            self._rare = self._make_rare(self)
        return self._rare

    def spend(self, count: int) -> None:
        """A few bytes of code deal with `count` values at once. Bound what that adds up to."""
        self.credit -= count
        if self.credit < 0:
            raise InvalidError("the function is too complex: too many values in lists")

    # -- the value stack -------------------------------------------------------------------------

    def pop_any(self) -> ValType:
        """`pop_val()`."""
        types = self.types
        found = types[-1]
        if found is FRAME:
            if not self.frames[-1].unreachable:
                raise mismatch("a value", "nothing")
            return BOT
        types.pop()
        return I32 if found is COND or found is NOT else found

    def pop(self, expect: ValType) -> None:
        """`pop_val(expect)`."""
        types = self.types
        if types[-1] is expect:
            types.pop()
            return
        found = self.pop_any()
        if found is not expect and found is not BOT and not matches(found, expect):
            raise mismatch(expect, found)

    def pop_all(self, expect: Types) -> None:
        """`pop_vals(expect)`."""
        types = self.types
        i: i64 = len(expect)
        while i:
            i -= 1
            type_ = expect[i]
            if types[-1] is type_:
                types.pop()
            else:
                self.pop(type_)

    # -- the control stack -----------------------------------------------------------------------

    def label(self, labelidx: int) -> Frame:
        """The frame a label refers to."""
        frames = self.frames
        if labelidx >= len(frames):
            raise InvalidError(f"unknown label {labelidx}")
        return frames[-1 - labelidx]

    def open(self, opcode: int, start: Types, end: Types) -> None:
        """`push_ctrl`, once the parameters have been popped."""
        if len(start) + len(end) > SHORT_LIST:
            self.spend(len(start) + len(end))
        types, frames = self.types, self.frames
        types.append(FRAME)
        frames.append(Frame(opcode, start, end, len(types)))
        if start:
            types.extend(start)
        if len(frames) > self.declared.nesting:
            raise InvalidError("blocks are nested too deeply")

    def close(self) -> None:
        """What the current frame leaves is right, and nothing else is there."""
        frame = self.frames[-1]
        if frame.end_types:
            self.pop_all(frame.end_types)
        left = len(self.types) - frame.height
        if left:
            raise InvalidError(f"type mismatch: {left} values remain at the end of a block")

    def stop(self) -> None:
        """`unreachable()`."""
        frame = self.frames[-1]
        del self.types[frame.height :]
        frame.unreachable = True


def check(c: Checker, entries: tuple[Entry, ...], rules: tuple[Rule | None, ...], at: int) -> None:
    """Check all instructions from the position `at` on.

    Args:
        entries: handlers by first byte.
        rules: those of the instructions that are one byte and pop one or two operands, likewise.
    """
    code, types, local_types, i32 = c.code, c.types, c.local_types, I32
    end: i64 = len(code)
    short: i64 = min(len(local_types), 0x80)
    pos: i64 = at
    start: i64 = at
    try:
        while pos < end:
            opcode = code[pos]
            if opcode == 0x20:  # local.get
                local: i64 = code[pos + 1]
                if local < short:
                    types.append(local_types[local])
                    pos += 2
                    continue
            elif opcode == 0x41:  # i32.const
                if code[pos + 1] < 0x80:
                    types.append(i32)
                    pos += 2
                    continue
            else:
                rule = rules[opcode]
                if rule is not None:
                    first, second, result = rule
                    if second is None:
                        if types[-1] is first:
                            types[-1] = result
                            pos += 1
                            continue
                    elif types[-1] is second and types[-2] is first:
                        types.pop()
                        types[-1] = result
                        pos += 1
                        continue
            start = pos
            handler, row = entries[opcode]
            pos = handler(c, pos + 1, row)
    except CompileError as error:
        if error.offset is None:
            raise type(error)(error.message, c.base + start) from None
        raise
    except IndexError:
        # Handlers read bytes without looking where the body ends.
        if start + 32 < end and pos + 32 < end:
            raise
        raise MalformedError(UNEXPECTED_END, c.base + end) from None
    if c.frames:
        raise MalformedError(UNEXPECTED_END, c.base + end)


def u32(c: Checker, pos: i64) -> tuple[int, i64]:
    """The unsigned integer at `pos` and the position behind it."""
    code = c.code
    byte: i64 = code[pos]
    if byte < 0x80:
        return byte, pos + 1
    second: i64 = code[pos + 1]
    if second < 0x80:
        return byte & 0x7F | second << 7, pos + 2
    return read_unsigned(code, pos, len(code), 32, c.base)


# -- control ---------------------------------------------------------------------------------------


def _block_type(c: Checker, pos: i64) -> tuple[Types, Types, i64]:
    known = c.declared.block_types.get(c.code[pos])
    if known is not None:
        return known[0], known[1], pos + 1
    return c.declared.read_block_type(c.code, pos, c.base)


def _block(c: Checker, pos: i64, row: int) -> i64:
    start, end, pos = _block_type(c, pos)
    if start:
        c.pop_all(start)
    c.open(row, start, end)
    return pos


def _if(c: Checker, pos: i64, row: None) -> i64:
    start, end, pos = _block_type(c, pos)
    c.pop(I32)
    if start:
        c.pop_all(start)
    c.open(IF, start, end)
    return pos


def _else(c: Checker, pos: i64, row: None) -> i64:
    frame = c.frames[-1]
    if frame.opcode != IF:
        raise MalformedError("unexpected 'else'")
    c.close()
    frame.opcode = ELSE
    frame.unreachable = False
    c.types.extend(frame.start_types)
    return pos


def _end(c: Checker, pos: i64, row: None) -> i64:
    frame = c.frames[-1]
    c.close()
    if frame.opcode == IF and frame.start_types != frame.end_types:
        # Without `else` the parameters are the results; they may be subtypes.
        c.types.extend(frame.start_types)
        frame.unreachable = False
        c.close()
    c.frames.pop()
    types = c.types
    types.pop()
    if frame.end_types:
        types.extend(frame.end_types)
    if not c.frames and pos != len(c.code):
        raise MalformedError("END opcode expected", c.base + pos)
    return pos


def _label_types(frame: Frame) -> Types:
    return frame.start_types if frame.opcode == LOOP else frame.end_types


def _br(c: Checker, pos: i64, row: None) -> i64:
    labelidx, pos = u32(c, pos)
    c.pop_all(_label_types(c.label(labelidx)))
    c.stop()
    return pos


def _br_if(c: Checker, pos: i64, row: None) -> i64:
    labelidx, pos = u32(c, pos)
    frame = c.label(labelidx)
    c.pop(I32)
    wanted = _label_types(frame)
    if wanted:
        c.pop_all(wanted)
        c.types.extend(wanted)
        if len(wanted) > SHORT_LIST:
            c.spend(len(wanted))
    return pos


def _return(c: Checker, pos: i64, row: None) -> i64:
    c.pop_all(c.results)
    c.stop()
    return pos


def _unreachable(c: Checker, pos: i64, row: None) -> i64:
    c.stop()
    return pos


def _nop(c: Checker, pos: i64, row: None) -> i64:
    return pos


def _apply(c: Checker, params: Types, results: Types) -> None:
    if len(params) + len(results) > SHORT_LIST:
        c.spend(len(params) + len(results))
    c.pop_all(params)
    if results:
        c.types.extend(results)


def _call(c: Checker, pos: i64, row: None) -> i64:
    funcidx, pos = u32(c, pos)
    declared = c.declared
    if funcidx >= len(declared.params):
        raise InvalidError(f"unknown function {funcidx}")
    _apply(c, declared.params[funcidx], declared.results[funcidx])
    return pos


def _call_indirect(c: Checker, pos: i64, row: None) -> i64:
    typeidx, pos = u32(c, pos)
    tableidx, pos = u32(c, pos)
    type_, index = c.declared.indirect(typeidx, tableidx)
    c.pop(index)
    _apply(c, type_.params, type_.results)
    return pos


# -- parametric, variables, constants --------------------------------------------------------------


def _drop(c: Checker, pos: i64, row: None) -> i64:
    c.pop_any()
    return pos


def _select(c: Checker, pos: i64, row: None) -> i64:
    c.pop(I32)
    second, first = c.pop_any(), c.pop_any()
    if isinstance(first, RefType) or isinstance(second, RefType):
        raise InvalidError("type mismatch: select without a type takes only numbers and vectors")
    if first is BOT:
        first = second
    elif first is not second and second is not BOT:
        raise mismatch(first, second)
    c.types.append(first)
    return pos


def _local(c: Checker, pos: i64) -> tuple[ValType, i64]:
    local, pos = u32(c, pos)
    local_types = c.local_types
    if local >= len(local_types):
        raise InvalidError(f"unknown local {local}")
    return local_types[local], pos


def _local_get(c: Checker, pos: i64, row: None) -> i64:
    type_, pos = _local(c, pos)
    c.types.append(type_)
    return pos


def _local_set(c: Checker, pos: i64, row: None) -> i64:
    type_, pos = _local(c, pos)
    c.pop(type_)
    return pos


def _local_tee(c: Checker, pos: i64, row: None) -> i64:
    type_, pos = _local(c, pos)
    if c.types[-1] is not type_:
        c.pop(type_)
        c.types.append(type_)
    return pos


def _global_get(c: Checker, pos: i64, row: None) -> i64:
    globalidx, pos = u32(c, pos)
    known = c.declared.globals
    if globalidx >= len(known):
        raise InvalidError(f"unknown global {globalidx}")
    c.types.append(known[globalidx])
    return pos


def _global_set(c: Checker, pos: i64, row: None) -> i64:
    globalidx, pos = u32(c, pos)
    known = c.declared.globals
    if globalidx >= len(known):
        raise InvalidError(f"unknown global {globalidx}")
    if not c.declared.mutable[globalidx]:
        raise InvalidError("immutable global")
    c.pop(known[globalidx])
    return pos


def int_const(c: Checker, pos: i64, row: tuple[ValType, int]) -> i64:
    type_, bits = row
    c.types.append(type_)
    if c.code[pos] < 0x80:
        return pos + 1
    return read_signed(c.code, pos, len(c.code), bits, c.base)[1]


def float_const(c: Checker, pos: i64, row: tuple[ValType, int]) -> i64:
    type_, size = row
    if pos + size > len(c.code):
        raise MalformedError(UNEXPECTED_END, c.base + len(c.code))
    c.types.append(type_)
    return pos + size


# -- memory ----------------------------------------------------------------------------------------


def load(c: Checker, pos: i64, row: tuple[ValType, int]) -> i64:
    type_, log_size = row
    pos = _index(c, pos, log_size)
    c.types.append(type_)
    return pos


def store(c: Checker, pos: i64, row: tuple[ValType, int]) -> i64:
    type_, log_size = row
    if c.types[-1] is type_:
        c.types.pop()
        return _index(c, pos, log_size)
    # What is wrong with the instruction itself comes first, as in the translator.
    addr, behind = c.declared.read_memarg(c.code, pos, c.base, log_size)
    c.pop(type_)
    c.pop(addr)
    return behind


def _index(c: Checker, pos: i64, log_size: int) -> i64:
    """Read a memory argument and pop the index."""
    code, types = c.code, c.types
    if code[pos] <= log_size and c.declared.plain_memory and types[-1] is I32:
        if code[pos + 1] < 0x80:
            types.pop()
            return pos + 2
        if code[pos + 2] < 0x80:
            types.pop()
            return pos + 3
    addr, behind = c.declared.read_memarg(code, pos, c.base, log_size)
    c.pop(addr)
    return behind


def by_signature(c: Checker, pos: i64, row: tuple[Types, Types]) -> i64:
    """An instruction without immediates: its parameters and results."""
    c.pop_all(row[0])
    c.types.extend(row[1])
    return pos


HANDLERS: Final[dict[str, tuple[Callable[[Checker, int, Any], int], Any]]] = {
    "unreachable": (_unreachable, None),
    "nop": (_nop, None),
    "block": (_block, BLOCK),
    "loop": (_block, LOOP),
    "if": (_if, None),
    "else": (_else, None),
    "end": (_end, None),
    "br": (_br, None),
    "br_if": (_br_if, None),
    "return": (_return, None),
    "call": (_call, None),
    "call_indirect": (_call_indirect, None),
    "drop": (_drop, None),
    "select": (_select, None),
    "local.get": (_local_get, None),
    "local.set": (_local_set, None),
    "local.tee": (_local_tee, None),
    "global.get": (_global_get, None),
    "global.set": (_global_set, None),
}
