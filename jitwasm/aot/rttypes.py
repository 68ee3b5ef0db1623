"""Run-time types in objects: equal types of different objects become one when they are linked."""

from __future__ import annotations

import hashlib

from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.types import ArrayType, DefType, FuncType, RefType, StructType, SubType, ValType

__all__ = ["rtt_definitions", "rtt_symbol", "structure_digest"]


def rtt_definitions(info: ModuleInfo) -> list[str]:
    """A definition for each type of a module and each of its ancestors."""
    found: dict[str, DefType] = {}
    for type_ in info.types:
        ancestor: DefType | None = type_
        while ancestor is not None:
            found[rtt_symbol(ancestor)] = ancestor
            ancestor = ancestor.supertype
    return [_rtt(name, type_) for name, type_ in sorted(found.items())]


_KINDS = {FuncType: 0, StructType: 1, ArrayType: 2}
_DISPLAY = 8


def _rtt(name: str, type_: DefType) -> str:
    chain = [type_]
    while chain[0].supertype is not None:
        chain.insert(0, chain[0].supertype)
    width = max(_DISPLAY, len(chain))
    display = [f"ptr @{rtt_symbol(t)}" for t in chain] + ["ptr null"] * (width - len(chain))
    shape = f"{{ i32, i32, ptr, [{width} x ptr] }}"
    kind = _KINDS[type(type_.comp)]
    return (
        f"${name} = comdat any\n@{name} = linkonce_odr constant {shape} {{ i32 {kind}, "
        f"i32 {type_.depth}, ptr null, [{width} x ptr] [{', '.join(display)}] }}, comdat"
    )


def rtt_symbol(type_: DefType) -> str:
    """The symbol of a type."""
    return f"jw_rtt_{structure_digest(type_)}"


def structure_digest(type_: DefType) -> str:
    """A name for a type's structure: equal for equal types, in whatever module."""
    text = f"{[_sub(s) for s in type_.group]}#{type_.index}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _sub(sub: SubType) -> str:
    parent = sub.supertype
    above = structure_digest(parent) if isinstance(parent, DefType) else str(parent)
    comp = sub.comp
    if isinstance(comp, FuncType):
        shape = f"func {[_val(t) for t in comp.params]} {[_val(t) for t in comp.results]}"
    elif isinstance(comp, StructType):
        shape = f"struct {[(_val(f.storage), f.mutable) for f in comp.fields]}"
    else:
        assert isinstance(comp, ArrayType)
        shape = f"array {_val(comp.field.storage)} {comp.field.mutable}"
    return f"{sub.final} {above} {shape}"


def _val(type_: object) -> str:
    if isinstance(type_, RefType) and isinstance(type_.heap, DefType):
        return f"ref {type_.nullable} {structure_digest(type_.heap)}"
    return type_.name if isinstance(type_, ValType) else str(type_)
