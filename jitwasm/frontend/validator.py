"""Validation alone, several times faster than translation.

The rules are those of the translator: its handlers run here as well, as if all code were
unreachable, so that they check everything and emit nothing. Only the instructions that programs
mostly consist of are handled anew, by types alone: those whose signature is in the instruction
table, loads and stores, locals, calls and plain branches.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import repeat
from typing import Any, SupportsIndex, overload

from jitwasm.config import Config, Features
from jitwasm.errors import CompileError, InvalidError, MalformedError
from jitwasm.frontend.emit.context import ModuleContext
from jitwasm.frontend.emit.control import start_function
from jitwasm.frontend.emit.dispatch import handlers
from jitwasm.frontend.emit.function import Entry, FunctionEmitter
from jitwasm.frontend.emit.memory import LOADS, STORES, memarg_at
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.instruction import Imm, Op
from jitwasm.frontend.leb128 import UNEXPECTED_END, read_signed
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.reader import Reader
from jitwasm.frontend.translate import Translator
from jitwasm.frontend.validate import frame_of, label_types
from jitwasm.types import F32, F64, I32, I64, V128, RefType, ValType

__all__ = ["Validator"]

_TYPES = {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128}
Rule = tuple[ValType, "ValType | None", ValType]
"""First operand, second operand if there is one, result."""


class _NoOperands(list[str]):
    """In place of the operands beside the types: nobody looks at them."""

    def append(self, item: str) -> None:
        pass

    def extend(self, items: Iterable[str]) -> None:
        pass

    def pop(self, index: SupportsIndex = -1) -> str:
        return "poison"

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | list[str]:
        if isinstance(index, slice):
            return ["poison"] * abs(index.start or 0)
        return "poison"

    def __setitem__(self, index: Any, value: Any) -> None:
        pass

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        pass


class _Checker(FunctionEmitter):
    """A FunctionEmitter that is never in reachable code."""

    __slots__ = ()

    def __init__(
        self, module: ModuleContext, funcidx: int, code: bytes, base: int, types: list[ValType]
    ) -> None:
        super().__init__(module, funcidx, code, base, types, [], in_memory=True)
        self.die()
        self.vals = _NoOperands()
        self.line = _ignore
        self.fresh = repeat("poison").__next__

    def op(self, rhs: str) -> str:
        return "poison"

    def as_cond(self, val: str) -> str:
        return "poison"


def _ignore(text: str) -> None:
    pass


class Validator(Translator):
    """Validates the bodies of one module, in any order."""

    def __init__(self, info: ModuleInfo, config: Config) -> None:
        super().__init__(info, config)

    def validate(self, body: FunctionBody) -> None:
        """Validate a body.

        Raises:
            CompileError: with the offset in the module, the function's index and its name.
        """
        module, code = self._module, body.body
        try:
            reader = Reader(code, 0, None, body.offset)
            params = module.func_types[body.funcidx].params
            types: list[ValType] = list(params)
            uninitialized: list[int] = []
            for count, type_ in self._read_locals(reader, len(params)):
                if isinstance(type_, RefType) and not type_.nullable:
                    uninitialized += range(len(types), len(types) + count)
                types += [type_] * count
            f = _Checker(module, body.funcidx, code, body.offset, types)
            f.uninitialized.update(uninitialized)
            _run(f, reader.pos)
        except CompileError as error:
            name = module.info.function_name(body.funcidx)
            raise type(error)(error.message, error.offset, body.funcidx, name) from None


def _run(f: FunctionEmitter, pos: int) -> None:
    """Check all instructions from `pos` on."""
    features = f.module.config.features
    entries, rules = _entries(features, bool(f.uninitialized)), _rules(features)
    code, base = f.code, f.base
    end = len(code)
    start_function(f)
    types, local_types = f.types, f.local_types
    short = 0 if f.uninitialized else min(len(local_types), 0x80)
    start = pos
    try:
        while pos < end:
            opcode = code[pos]
            if opcode == 0x20:  # local.get
                local = code[pos + 1]
                if local < short:
                    types.append(local_types[local])
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
            pos = handler(f, pos + 1, row)
    except CompileError as error:
        if error.offset is None:
            raise type(error)(error.message, base + start) from None
        raise
    except IndexError:
        if start + 32 < end and pos + 32 < end:
            raise
        raise MalformedError(UNEXPECTED_END, base + end) from None
    if f.frames:
        raise MalformedError(UNEXPECTED_END, base + end)


# -- instructions with a signature -----------------------------------------------------------------


def _rule(op: Op) -> Rule | None:
    if op.signature is None or op.immediates or op.code > 0xFF:
        return None
    params, _, results = op.signature.partition("->")
    operands, result = [_TYPES.get(p) for p in params.split()], _TYPES.get(results.strip())
    if result is None or None in operands or not 1 <= len(operands) <= 2 or operands[0] is None:
        return None
    return operands[0], operands[1] if len(operands) == 2 else None, result


@cache
def _rules(features: Features) -> tuple[Rule | None, ...]:
    rules: list[Rule | None] = [None] * 256
    for op in OPCODES:
        if op.code < 0x100 and getattr(features, op.feature, True):
            rules[op.code] = _rule(op)
    return tuple(rules)


# -- the other frequent ones -----------------------------------------------------------------------


def _int_const(f: FunctionEmitter, pos: int, row: tuple[ValType, int]) -> int:
    type_, bits = row
    f.types.append(type_)
    if f.code[pos] < 0x80:
        return pos + 1
    return read_signed(f.code, pos, len(f.code), bits, f.base)[1]


def _local_set(f: FunctionEmitter, pos: int, row: None) -> int:
    local = f.code[pos]
    if local < 0x80:
        pos += 1
    else:
        local, pos = f.u32(pos)
    types = f.local_types
    if local >= len(types):
        raise InvalidError(f"unknown local {local}")
    if f.types[-1] is types[local]:
        f.types.pop()
    else:
        f.pop(types[local])
    return pos


def _local_tee(f: FunctionEmitter, pos: int, row: None) -> int:
    local, pos = f.u32(pos)
    types = f.local_types
    if local >= len(types):
        raise InvalidError(f"unknown local {local}")
    type_ = types[local]
    if f.types[-1] is not type_:
        f.pop(type_)
        f.types.append(type_)
    return pos


def _load(f: FunctionEmitter, pos: int, row: tuple[ValType, int]) -> int:
    type_, log_size = row
    pos = _index(f, pos, log_size)
    f.types.append(type_)
    return pos


def _store(f: FunctionEmitter, pos: int, row: tuple[ValType, int]) -> int:
    type_, log_size = row
    if f.types[-1] is type_:
        f.types.pop()
        return _index(f, pos, log_size)
    # What is wrong with the instruction itself comes first, as in the translator.
    _, _, addr, pos = memarg_at(f, pos, 1 << log_size)
    f.pop(type_)
    f.pop(addr)
    return pos


def _index(f: FunctionEmitter, pos: int, log_size: int) -> int:
    """Read a memory argument and pop the index."""
    code = f.code
    if code[pos] <= log_size and f.module.plain_memory and f.types[-1] is I32:
        if code[pos + 1] < 0x80:
            f.types.pop()
            return pos + 2
        if code[pos + 2] < 0x80:
            f.types.pop()
            return pos + 3
    _, _, addr, pos = memarg_at(f, pos, 1 << log_size)
    f.pop(addr)
    return pos


def _call(f: FunctionEmitter, pos: int, row: None) -> int:
    funcidx, pos = f.u32(pos)
    module = f.module
    if funcidx >= len(module.func_types):
        raise InvalidError(f"unknown function {funcidx}")
    type_ = module.func_types[funcidx]
    types = f.types
    for param in reversed(type_.params):
        if types[-1] is param:
            types.pop()
        else:
            f.pop(param)
    types.extend(type_.results)
    return pos


def _br_if(f: FunctionEmitter, pos: int, row: None) -> int:
    label, pos = f.u32(pos)
    types = label_types(frame_of(f, label))
    if f.types[-1] is I32:
        f.types.pop()
    else:
        f.pop(I32)
    if types:
        f.pop_vals(types)
        f.push_vals(types, ())
    return pos


_FAST: dict[str, Entry] = {
    "i32.const": (_int_const, (I32, 32)),
    "i64.const": (_int_const, (I64, 64)),
    "local.set": (_local_set, None),
    "local.tee": (_local_tee, None),
    "call": (_call, None),
    "br_if": (_br_if, None),
    **{name: (_load, (row.type, row.log_size)) for name, row in LOADS.items()},
    **{name: (_store, (row.type, row.log_size)) for name, row in STORES.items()},
}


@cache
def _entries(features: Features, uninitialized: bool) -> tuple[Entry, ...]:
    entries = list(handlers(features, True))
    for op in OPCODES:
        if op.mnemonic in _FAST and not (uninitialized and Imm.LOCALIDX in op.immediates):
            entries[op.code] = _FAST[op.mnemonic]
    return tuple(entries)
