"""A second module that calls everything the first one exports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jitwasm
from tests.support.wat import wat

__all__ = ["forwarding_module"]

_PLAIN = {"i32", "i64", "f32", "f64", "v128", "funcref", "externref"}


def forwarding_module(
    exports: Sequence[jitwasm.ExportDescriptor],
) -> tuple[bytes, list[tuple[str, list[str]]]]:
    """Its binary, and the names and types of parameters of its functions.

    It imports functions, tables of functions and memories, and calls each function directly, as a
    tail call, or through a reference, and each table's elements by the types there are.
    """
    parts: list[str] = []
    bodies: list[str] = []
    rows: list[tuple[str, list[str]]] = []
    signatures: dict[str, list[str]] = {}
    for number, row in enumerate(exports):
        name = f'"a" "{_escaped(row.name)}"'
        if isinstance(row.type, jitwasm.FuncType) and _is_plain(row.type):
            params, results = _texts(row.type)
            type_ = f"(param {' '.join(params)}) (result {' '.join(results)})"
            signatures.setdefault(type_, params)
            parts.append(f"(import {name} (func $f{number} {type_}))")
            bodies.append(_forward(number, type_, params))
            rows.append((f"f{number}", params))
        elif isinstance(row.type, jitwasm.MemoryType):
            bodies.append(_memory(number, str(row.type.addr)))
            parts.append(f"(import {name} (memory $m{number} {_limits(row.type)}))")
            rows.append((f"load{number}", [str(row.type.addr)]))
            rows.append((f"grow{number}", [str(row.type.addr)]))
        elif isinstance(row.type, jitwasm.TableType) and str(row.type.element) == "funcref":
            parts.append(f"(import {name} (table $t{number} {_limits(row.type)} funcref))")
            for place, (type_, params) in enumerate(list(signatures.items())[:4]):
                bodies.append(_indirect(number, place, type_, params, str(row.type.addr)))
                rows.append((f"t{number}_{place}", [*params, str(row.type.addr)]))
    return wat(f"(module {' '.join([*parts, *bodies])})"), rows


def _forward(number: int, type_: str, params: list[str]) -> str:
    args = _locals(len(params))
    call = (
        f"(call $f{number} {args})",
        f"(return_call $f{number} {args})",
        f"(call_ref $s{number} {args} (ref.func $f{number}))",
    )[number % 3]
    return (
        f"(type $s{number} (func {type_}))"
        f"(elem declare func $f{number})"
        f'(func (export "f{number}") {type_} {call})'
    )


def _memory(number: int, address: str) -> str:
    return (
        f'(func (export "load{number}") (param {address}) (result i64)'
        f" (i64.load $m{number} offset=3 (local.get 0)))"
        f'(func (export "grow{number}") (param {address}) (result {address})'
        f" (memory.grow $m{number} (local.get 0)))"
    )


def _indirect(number: int, place: int, type_: str, params: list[str], address: str) -> str:
    head, _, tail = type_.partition(") (result")
    given = f"{head} {address}) (result{tail}"
    return (
        f'(func (export "t{number}_{place}") {given}'
        f" (call_indirect $t{number} {type_} {_locals(len(params))} (local.get {len(params)})))"
    )


def _locals(count: int) -> str:
    return " ".join(f"(local.get {i})" for i in range(count))


def _limits(type_: Any) -> str:
    limits = type_.limits
    address = "i64" if str(type_.addr) == "i64" else ""
    maximum = "" if limits.maximum is None else limits.maximum
    shared = " shared" if getattr(type_, "shared", False) else ""
    return f"{address} {limits.minimum} {maximum}{shared}"


def _texts(type_: jitwasm.FuncType) -> tuple[list[str], list[str]]:
    return [str(t) for t in type_.params], [str(t) for t in type_.results]


def _is_plain(type_: jitwasm.FuncType) -> bool:
    params, results = _texts(type_)
    return {*params, *results} <= _PLAIN


def _escaped(name: str) -> str:
    return "".join(f"\\{byte:02x}" for byte in name.encode())
