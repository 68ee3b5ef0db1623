"""LLVM IR text with the ABI's structures in it.

Handwritten IR reads and writes fields of the structures in `jitwasm.abi`. Macros, one to a line,
keep offsets and field types out of it:

    %top = get %ts ThreadState.top            load a field
    set null, %ts ThreadState.top             store to a field
    inc %ts ThreadState.ticks                 add one to an i64 field
    %p = field %ts ThreadState.trap_stack     address of a field
    @name = text "abc"                        a NUL-terminated constant

All these accesses are volatile: signal handlers read and write the same records. Anywhere in a
line, also of assembly:

    <ThreadState.top>       offset of a field
    <Activation.size>       bytes of a structure
    <Trap.UNREACHABLE>      number of a trap
    <NAME>                  a constant that the caller of `expand` supplies
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jitwasm import abi
from jitwasm.trapcodes import TrapCode

__all__ = ["expand"]

_STRUCTS = {
    struct.name: struct
    for struct in (
        abi.ENV,
        abi.HOST_ENV,
        abi.STORE_STATE,
        abi.FUNCREF,
        abi.MEMORY_RECORD,
        abi.TABLE_RECORD,
        abi.DATA_SEGMENT,
        abi.ELEM_SEGMENT,
        abi.ACTIVATION,
        abi.THREAD_STATE,
        abi.SIGNATURE,
        abi.VALUE_PLACE,
    )
}
_KINDS = {
    (struct.name, field): kind for struct in _STRUCTS.values() for field, kind, _ in struct.fields
}
_NUMBERS = {
    **{f"Trap.{code.name}": int(code) for code in TrapCode},
    **{f"{s.name}.size": s.size for s in _STRUCTS.values()},
    **{f"{s.name}.{field}": at for s in _STRUCTS.values() for field, at in s.offset.items()},
}
_MACRO = re.compile(
    r" *(?:(?P<result>%[\w.]+) = )?(?P<verb>get|set|inc|field) (?:(?P<value>[^,\n]+), )?"
    r"(?P<base>[%@][\w.]+) (?P<struct>\w+)\.(?P<field>\w+)$"
)
_MARKS = (" = get ", "  set ", "  inc ", " = field ")
_TEXT = re.compile(r'^@(\w+) = text "(.*)"$', re.M)
_NUMBER = re.compile(r"<([A-Za-z][\w.]*)>")


def expand(text: str, constants: Mapping[str, int] | None = None) -> str:
    """Replace the macros in IR text or assembly."""
    numbers = {**_NUMBERS, **(constants or {})}
    text = _NUMBER.sub(lambda match: str(numbers[match[1]]), text)
    text = _TEXT.sub(_constant, text)
    lines = text.split("\n")
    for number, line in enumerate(lines):
        # Most lines have none, and a search is ten times cheaper than a match that fails.
        if any(mark in line for mark in _MARKS):
            match = _MACRO.match(line)
            if match:
                lines[number] = _access(match, number)
    return "\n".join(lines)


def _constant(match: re.Match[str]) -> str:
    name, data = match.groups()
    return f'@{name} = constant [{len(data) + 1} x i8] c"{data}\\00"'


def _access(match: re.Match[str], number: int) -> str:
    struct, field = match["struct"], match["field"]
    kind, offset = _KINDS[struct, field], _STRUCTS[struct].offset[field]
    address = f"getelementptr i8, ptr {match['base']}, i64 {offset}"
    if match["verb"] == "field":
        return f"  {match['result']} = {address}"
    lines, pointer = "", match["base"]
    if offset:
        pointer = f"%.{number}"
        lines = f"  {pointer} = {address}\n"
    if match["verb"] == "get":
        return f"{lines}  {match['result']} = load volatile {kind}, ptr {pointer}"
    if match["verb"] == "set":
        return f"{lines}  store volatile {kind} {match['value']}, ptr {pointer}"
    return (
        f"{lines}  %.{number}a = load volatile {kind}, ptr {pointer}\n"
        f"  %.{number}b = add {kind} %.{number}a, 1\n"
        f"  store volatile {kind} %.{number}b, ptr {pointer}"
    )
