"""DWARF for compiled modules: functions by their names, code by its offset in the module.

The line table's only file is the module, and its lines are byte offsets: line 300 is the
instruction at offset 300. Exports' wrappers have line 0, which debuggers take for none.

It is made from the text of the LLVM module: the translator has left a comment with the offset
before what each instruction became.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.version import __version__

__all__ = ["add_debug_info"]

_FIRST = 100_000
"""Metadata numbers from here on are ours."""
_FILE, _UNIT, _TYPE = _FIRST, _FIRST + 1, _FIRST + 2
_FUNCTION = re.compile(r"^define .*@([fu](\d+)|[\w.]+)\(.*\{$")
_MARK = re.compile(r"^ *; @(\d+)$")


def add_debug_info(text: str, info: ModuleInfo, prefix: str) -> str:
    """The same LLVM module with debug information."""
    return "\n".join([*_Annotator(info, prefix).lines(text), ""])


class _Annotator:
    def __init__(self, info: ModuleInfo, prefix: str) -> None:
        self._info = info
        self._prefix = prefix
        self._subprograms: list[str] = []

    def lines(self, text: str) -> Iterator[str]:
        """The lines of the module, with locations, and the metadata they refer to."""
        lines = iter(text.split("\n"))
        for line in lines:
            found = _FUNCTION.match(line) if line.startswith("define ") else None
            if found and (found[2] or found[1].startswith(f"{self._prefix}_")):
                yield from self._function(line, found, lines)
            else:
                yield line
        yield from self._metadata()

    def _function(self, head: str, found: re.Match[str], lines: Iterator[str]) -> Iterator[str]:
        """A definition: where its instructions are, and what it is called."""
        body, scope, offset, first = [], self._next, 0, 0
        for line in lines:
            if line == "}":
                break
            mark = _MARK.match(line)
            if mark:
                offset = int(mark[1])
                first = first or offset
            elif line.startswith("  ") and line.strip():
                location = f"!DILocation(line: {offset}, scope: !{scope})"
                body.append(f"{line}, !dbg {location}")
            else:
                body.append(line)
        yield f"{head[:-1]}!dbg !{scope} {{"
        yield from body
        yield "}"
        symbol = found[1]
        name = symbol
        if found[2]:
            name = self._info.function_name(int(found[2])) or f"wasm-function[{found[2]}]"
        self._subprograms.append(
            f"!{scope} = distinct !DISubprogram(name: {_quoted(name)}, "
            f"linkageName: {_quoted(symbol)}, scope: !{_FILE}, file: !{_FILE}, line: {first}, "
            f"type: !{_TYPE}, scopeLine: {first}, spFlags: DISPFlagDefinition, unit: !{_UNIT})"
        )

    @property
    def _next(self) -> int:
        return _FIRST + 10 + len(self._subprograms)

    def _metadata(self) -> Iterator[str]:
        name = _quoted(f"{self._info.names.module or self._prefix}.wasm")
        yield from self._subprograms
        yield f'!{_FILE} = !DIFile(filename: {name}, directory: "")'
        yield (
            f"!{_UNIT} = distinct !DICompileUnit(language: DW_LANG_C11, file: !{_FILE}, "
            f'producer: "jitwasm {__version__}", isOptimized: true, runtimeVersion: 0, '
            "emissionKind: FullDebug)"
        )
        yield f"!{_TYPE} = !DISubroutineType(types: !{{}})"
        yield f"!llvm.dbg.cu = !{{!{_UNIT}}}"
        yield f'!{_FIRST + 3} = !{{i32 2, !"Debug Info Version", i32 3}}'
        yield f'!{_FIRST + 4} = !{{i32 7, !"Dwarf Version", i32 4}}'
        yield f"!llvm.module.flags = !{{!{_FIRST + 3}, !{_FIRST + 4}}}"


def _quoted(text: str) -> str:
    data = text.encode("utf-8", "replace")
    plain = (chr(b) if 0x20 <= b < 0x7F and b not in b'"\\' else f"\\{b:02X}" for b in data)
    return '"' + "".join(plain) + '"'
