"""The validation algorithm by types alone (specification: Appendix, "Validation Algorithm").

This is what most of a program goes through when nothing is emitted: control, locals, calls,
loads and stores, and all instructions whose signature is in the instruction table (checkrules.py,
and the loop over them in checkloop.py). Others are left to `rare` (validator.py). The stack of
types has the form that stacks.py describes, so that both sides can work on one.

These modules are compiled by mypyc where wheels are built with it: what is hot is typed, machine
integers are `i64`, and nothing here is subclassed or patched.
"""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.errors import InvalidError
from jitwasm.frontend.leb128 import read_unsigned
from jitwasm.frontend.stacks import COND, FRAME, NOT, mismatch
from jitwasm.types import BOT, I32, FuncType, GlobalType, ValType, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from mypy_extensions import i64

__all__ = ["IF", "SHORT_LIST", "Checker", "Declared", "Entry", "Frame", "Rule", "Types", "u32"]

Types = tuple[ValType, ...]
Rule = tuple[ValType, "ValType | None", ValType]
"""Last operand, the one before it if there is one, result."""
Entry = tuple[Callable[["Checker", int, "Any"], int], "Any"]
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
        position: of the first instruction, then of the one that is wrong.
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
        self.position: int = 0
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
