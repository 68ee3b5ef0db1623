"""The name section (specification: appendix "Custom Sections", Name Section).

It serves messages only, so whatever is wrong with it is ignored: a subsection is taken as far as
it can be read.
"""

from __future__ import annotations

from jitwasm.errors import MalformedError
from jitwasm.frontend.reader import Reader
from jitwasm.records import member, record

__all__ = ["NameSection", "read_name_section"]

_MODULE = 0
_FUNCTIONS = 1


@record()
class NameSection:
    """Names of the module and of its functions by funcidx."""

    module: str | None = None
    functions: dict[int, str] = member(default_factory=dict)


def read_name_section(payload: bytes, functions: int) -> NameSection:
    """Read the payload of a custom section "name" of a module with that many functions."""
    names = NameSection()
    reader = Reader(payload)
    while not reader.at_end:
        try:
            kind = reader.u8()
            subsection = reader.sub_reader(reader.u32())
        except MalformedError:
            break
        try:
            if kind == _MODULE:
                names.module = subsection.name()
            elif kind == _FUNCTIONS:
                _read_functions(subsection, functions, names.functions)
        except MalformedError:
            continue
    return names


def _read_functions(reader: Reader, functions: int, names: dict[int, str]) -> None:
    for _ in range(reader.u32()):
        funcidx = reader.u32()
        name = reader.name()
        if funcidx < functions:
            names.setdefault(funcidx, name)
