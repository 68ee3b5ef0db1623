"""LLVM IR text with the ABI's structures in it.

Handwritten IR of the runtime reads and writes fields of the structures in `jitwasm.abi`. Four
macros, one to a line, keep offsets and field types out of it:

    %top = get %ts ThreadState.top            load a field
    set null, %ts ThreadState.top             store to a field
    inc %ts ThreadState.ticks                 add one to an i64 field
    %p = field %ts ThreadState.trap_stack     address of a field

All these accesses are volatile: signal handlers read and write the same records.
"""

from __future__ import annotations

import re

from jitwasm import abi

__all__ = ["constant_bytes", "expand", "join"]

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
    )
}
_KINDS = {
    (struct.name, field): kind for struct in _STRUCTS.values() for field, kind, _ in struct.fields
}
_MACRO = re.compile(
    r"^ *(?:(?P<result>%[\w.]+) = )?(?P<verb>get|set|inc|field) (?:(?P<value>[^,\n]+), )?"
    r"(?P<base>%[\w.]+|@[\w.]+) (?P<struct>\w+)\.(?P<field>\w+)$",
    re.MULTILINE,
)


def expand(text: str) -> str:
    """Replace the macros in IR text."""
    count = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        struct, field = match["struct"], match["field"]
        kind, offset = _KINDS[struct, field], _STRUCTS[struct].offset[field]
        if match["verb"] == "field":
            return f"  {match['result']} = getelementptr i8, ptr {match['base']}, i64 {offset}"
        lines, pointer = "", match["base"]
        if offset:
            pointer = f"%.{count}"
            lines = f"  {pointer} = getelementptr i8, ptr {match['base']}, i64 {offset}\n"
        if match["verb"] == "get":
            return f"{lines}  {match['result']} = load volatile {kind}, ptr {pointer}"
        if match["verb"] == "set":
            return f"{lines}  store volatile {kind} {match['value']}, ptr {pointer}"
        return (
            f"{lines}  %.{count}a = load volatile {kind}, ptr {pointer}\n"
            f"  %.{count}b = add {kind} %.{count}a, 1\n"
            f"  store volatile {kind} %.{count}b, ptr {pointer}"
        )

    return _MACRO.sub(replace, text)


def join(*texts: str) -> str:
    """One module of several texts that may each declare the same functions.

    A declaration is kept once, and not at all where one of the texts has the definition.
    """
    defined = {
        name for text in texts for name in re.findall(r"^define [^@]*@([\w.]+)\(", text, re.M)
    }
    seen: set[str] = set()
    lines: list[str] = []
    for line in "\n".join(texts).split("\n"):
        if line.startswith("declare "):
            name = line[line.index("@") + 1 : line.index("(", line.index("@"))]
            if name in seen or name in defined:
                continue
            seen.add(name)
        lines.append(line)
    return "\n".join(lines)


def constant_bytes(name: str, data: bytes) -> str:
    """A private, NUL-terminated constant."""
    data += b"\0"
    text = "".join(f"\\{byte:02x}" for byte in data)
    return f'@{name} = private constant [{len(data)} x i8] c"{text}"'
