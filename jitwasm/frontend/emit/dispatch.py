"""One list of handlers, from the tables of the families; checked against the instruction table.

An entry is (handler, row). Entries for instructions of features that are off, and of those that
have no implementation yet, raise an error that names the feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jitwasm.config import Features
from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.emit import (
    call,
    control,
    convert,
    memory,
    numeric,
    reference,
    simd,
    table,
    tailcall,
    variable,
)
from jitwasm.frontend.emit.function import Entry, FunctionEmitter
from jitwasm.frontend.instruction import PREFIX_SHIFT, Op
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.reader import Reader

__all__ = ["handlers"]

_UNIMPLEMENTED = frozenset({"exceptions", "gc", "threads"})

_FAST: dict[str, Entry] = {
    "unreachable": (control.unreachable, None),
    "nop": (control.nop, None),
    "block": (control.block, None),
    "loop": (control.loop, None),
    "if": (control.if_, None),
    "else": (control.else_, None),
    "end": (control.end, None),
    "br": (control.br, None),
    "br_if": (control.br_if, None),
    "br_table": (control.br_table, None),
    "return": (control.return_, None),
    "call": (call.call, None),
    "call_indirect": (call.call_indirect, None),
    "call_ref": (call.call_ref, None),
    "return_call": (tailcall.return_call, None),
    "return_call_indirect": (tailcall.return_call_indirect, None),
    "return_call_ref": (tailcall.return_call_ref, None),
    "drop": (variable.drop, None),
    "select": (variable.select, None),
    "local.get": (variable.local_get, None),
    "local.set": (variable.local_set, None),
    "local.tee": (variable.local_tee, None),
    "global.get": (variable.global_get, None),
    "global.set": (variable.global_set, None),
    **{name: (memory.load, row) for name, row in memory.LOADS.items()},
    **{name: (memory.store, row) for name, row in memory.STORES.items()},
    **numeric.ROWS,
    **convert.ROWS,
    **simd.HANDLERS,
    **simd.HANDLERS,
}

_TRACKED: dict[str, Entry] = {
    "local.get": (variable.tracked_get, None),
    "local.set": (variable.tracked_set, None),
    "local.tee": (variable.tracked_tee, None),
}


def _plain(f: FunctionEmitter, pos: int, row: tuple[Any, Op]) -> int:
    """Run a plain handler: read the immediates as the table says."""
    handler, op = row
    reader = Reader(f.code, pos, None, f.base)
    handler(f, f.module.immediates.read(op.immediates, reader))
    return reader.pos


def _prefixed(f: FunctionEmitter, pos: int, row: Mapping[int, Entry]) -> int:
    sub, pos = f.u32(pos)
    handler, inner = row.get(sub, _ILLEGAL)
    return handler(f, pos, inner)


def _illegal(f: FunctionEmitter, pos: int, row: None) -> int:
    raise MalformedError(f"illegal opcode {f.code[pos - 1]:02x}")


_ILLEGAL: Entry = (_illegal, None)


def _disabled(f: FunctionEmitter, pos: int, op: Op) -> int:
    raise InvalidError(f"{op.mnemonic} requires the feature '{op.feature}'")


def _missing(f: FunctionEmitter, pos: int, op: Op) -> int:
    raise InvalidError(f"{op.mnemonic}: the feature '{op.feature}' is not implemented")


def _entries() -> dict[str, Entry]:
    """An entry for each row of the instruction table; the check that none is missing."""
    plain = {**table.PLAIN, **memory.PLAIN, **variable.PLAIN, **reference.PLAIN}
    entries: dict[str, Entry] = {}
    for op in OPCODES:
        if op.mnemonic in _FAST:
            entries[op.mnemonic] = _FAST[op.mnemonic]
        elif op.mnemonic in plain:
            entries[op.mnemonic] = (_plain, (plain[op.mnemonic], op))
        elif op.feature in _UNIMPLEMENTED:
            entries[op.mnemonic] = (_missing, op)
        else:
            raise AssertionError(f"no handler for {op.mnemonic}")
    unknown = (_FAST.keys() | plain.keys()) - entries.keys()
    if unknown:
        raise AssertionError(f"handlers for unknown instructions: {sorted(unknown)}")
    return entries


_ENTRIES = _entries()


@cache
def handlers(features: Features, tracked: bool) -> tuple[Entry, ...]:
    """The entries by first byte. `tracked`: for functions whose locals are tracked."""
    by_byte: list[Entry] = [_ILLEGAL] * 256
    prefixed: dict[int, dict[int, Entry]] = {}
    for op in OPCODES:
        entry = _ENTRIES[op.mnemonic]
        if tracked and op.mnemonic in _TRACKED:
            entry = _TRACKED[op.mnemonic]
        if not getattr(features, op.feature, True):
            entry = (_disabled, op)
        if op.code < 0x100:
            by_byte[op.code] = entry
        else:
            prefix = op.code >> PREFIX_SHIFT
            prefixed.setdefault(prefix, {})[op.code & ((1 << PREFIX_SHIFT) - 1)] = entry
    for prefix, rows in prefixed.items():
        by_byte[prefix] = (_prefixed, rows)
    return tuple(by_byte)
