"""Validation alone, several times faster than translation.

The instructions that programs mostly consist of are checked by types alone (checkloop.py). For all
others the rules are those of the translator (rarechecks.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache

from jitwasm.config import Config, Features
from jitwasm.errors import CompileError, InvalidError
from jitwasm.frontend.accesses import LOADS, STORES
from jitwasm.frontend.checker import Checker, Declared, Entry, Rule, Types
from jitwasm.frontend.checkloop import Dispatch, check
from jitwasm.frontend.checkrules import (
    HANDLERS,
    br_table,
    by_signature,
    float_const,
    int_const,
    load,
    memory_bulk,
    memory_grow,
    memory_size,
    store,
)
from jitwasm.frontend.emit.context import ModuleContext
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.immediates import read_block_type, read_memarg
from jitwasm.frontend.instruction import PREFIX_SHIFT, Op
from jitwasm.frontend.localdecls import read_locals
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.reader import Reader
from jitwasm.frontend.validate import check_memarg, check_table, func_type_at
from jitwasm.types import F32, F64, I32, I64, V128, FuncType, RefType, ValType, heap_matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Validator"]

_TYPES = {"i32": I32, "i64": I64, "f32": F32, "f64": F64, "v128": V128}


def _rarechecks() -> Any:
    return importlib.import_module("jitwasm.frontend.rarechecks")


class Validator:
    """Validates the bodies of one module, in any order."""

    def __init__(self, info: ModuleInfo, config: Config) -> None:
        self._module = ModuleContext(info, config)
        self._declared = _declare(self._module)
        self._dispatch = _dispatch(config.features)

    def validate(self, body: FunctionBody) -> None:
        """Validate a body.

        Raises:
            CompileError: with the offset in the module, the function's index and its name.
        """
        module, code, funcidx = self._module, body.body, body.funcidx
        try:
            reader = Reader(code, 0, None, body.offset)
            type_ = module.func_types[funcidx]
            types: list[ValType] = list(type_.params)
            uninitialized: list[int] = []
            for count, local in read_locals(reader, module.info, module.config, len(types)):
                if isinstance(local, RefType) and not local.nullable:
                    uninitialized += range(len(types), len(types) + count)
                types += [local] * count
            if uninitialized:
                # Whether they have been set is for the translator's handlers to follow.
                _rarechecks().check_all(module, body, types, uninitialized, reader.pos)
                return

            def rare(c: Checker) -> Any:
                return _rarechecks().emitter_beside(c, module, body, types)

            c = Checker(self._declared, code, body.offset, types, type_.results, rare)
            check(c, self._dispatch, reader.pos)
        except CompileError as error:
            name = module.info.function_name(funcidx)
            raise type(error)(error.message, error.offset, funcidx, name) from None


def _declare(module: ModuleContext) -> Declared:
    info, features = module.info, module.config.features

    def block_type(code: bytes, pos: int, base: int) -> tuple[Types, Types, int]:
        reader = Reader(code, pos, None, base)
        type_ = read_block_type(reader, info.types, features)
        if reader.pos == pos + 1:
            module.block_types[code[pos]] = (type_.params, type_.results)
        return type_.params, type_.results, reader.pos

    def memarg(code: bytes, pos: int, base: int, log_size: int) -> tuple[ValType, int]:
        reader = Reader(code, pos, None, base)
        return check_memarg(info, read_memarg(reader, features), 1 << log_size).addr, reader.pos

    @cache
    def indirect(typeidx: int, tableidx: int) -> tuple[FuncType, ValType]:
        table = check_table(info, tableidx)
        if not heap_matches(table.element.heap, "func"):
            raise InvalidError(f"type mismatch: call_indirect through a table of {table.element}")
        return func_type_at(info, typeidx), table.addr

    return Declared(
        module.func_types,
        info.globals,
        bool(info.memories) and info.memories[0].addr is I32,
        module.config.limits.nesting,
        module.block_types,
        block_type,
        memarg,
        indirect,
    )


# -- entries -------------------------------------------------------------------------------------

_FAST: dict[str, Entry] = {
    **HANDLERS,
    "i32.const": (int_const, (I32, 32)),
    "i64.const": (int_const, (I64, 64)),
    "f32.const": (float_const, (F32, 4)),
    "f64.const": (float_const, (F64, 8)),
    **{name: (load, (row.type, row.log_size)) for name, row in LOADS.items()},
    **{name: (store, (row.type, row.log_size)) for name, row in STORES.items()},
}


_SHORT: dict[str, Callable[[Checker, int, Any], int]] = {
    "br_table": br_table,
    "memory.size": memory_size,
    "memory.grow": memory_grow,
}
"""Rules for the usual form of an instruction; their rows are the entries of all forms."""
_BULK = {"memory.fill": 1, "memory.copy": 2}
"""Likewise; how many bytes the immediates take then."""


def _rare(c: Checker, pos: int, row: tuple[Features, int]) -> int:
    """An instruction that the translator's handler checks: the features and the first byte."""
    behind: int = _rarechecks().check_one(c.rare(), pos, *row)
    return behind


def _prefixed(c: Checker, pos: int, row: tuple[dict[int, Entry], Entry]) -> int:
    known, (_, others) = row
    found = known.get(c.code[pos])
    if found is None or c.code[pos] >= 0x80:
        sub, behind = c.rare().u32(pos)
        found = known.get(sub)
        if found is None or found[0] is memory_bulk:
            return _rare(c, pos, others)
        pos = behind - 1
    handler, inner = found
    return handler(c, pos + 1, inner)


def _signature(op: Op) -> tuple[Types, Types] | None:
    """Parameters and results, if they and the opcode are all there is to know."""
    if op.signature is None or op.immediates:
        return None
    return _types_of(op.signature)


@cache
def _types_of(signature: str) -> tuple[Types, Types] | None:
    params, _, results = signature.partition("->")
    words = params.split(), results.split()
    if not all(word in _TYPES for word in words[0] + words[1]):
        return None
    return tuple(_TYPES[word] for word in words[0]), tuple(_TYPES[word] for word in words[1])


def _rules(features: Features) -> tuple[Rule | None, ...]:
    rules: list[Rule | None] = [None] * 256
    for op in OPCODES:
        signature = _signature(op)
        if signature and op.code < 0x100 and getattr(features, op.feature, True):
            params, results = signature
            if len(results) == 1 and 1 <= len(params) <= 2:
                rules[op.code] = (params[-1], params[0] if len(params) == 2 else None, results[0])
    return tuple(rules)


def _entries(features: Features) -> tuple[Entry, ...]:
    entries: list[Entry] = [(_rare, (features, byte)) for byte in range(256)]
    prefixed: dict[int, dict[int, Entry]] = {}
    for op in OPCODES:
        if not getattr(features, op.feature, True):
            continue
        entry, signature = _FAST.get(op.mnemonic), _signature(op)
        if op.mnemonic in _SHORT:
            entry = (_SHORT[op.mnemonic], entries[op.code])
        elif op.mnemonic in _BULK:
            entry = (memory_bulk, (_BULK[op.mnemonic], entries[op.code >> PREFIX_SHIFT]))
        elif entry is None and signature is not None:
            entry = (by_signature, signature)
        if entry is None:
            continue
        if op.code < 0x100:
            entries[op.code] = entry
        else:
            prefix = op.code >> PREFIX_SHIFT
            prefixed.setdefault(prefix, {})[op.code & ((1 << PREFIX_SHIFT) - 1)] = entry
    for prefix, known in prefixed.items():
        entries[prefix] = (_prefixed, (known, entries[prefix]))
    return tuple(entries)


@cache
def _dispatch(features: Features) -> Dispatch:
    return Dispatch(_entries(features), _rules(features))
