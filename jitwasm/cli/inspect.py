"""`jitwasm inspect`: what is in a module."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from jitwasm.cli.loading import read_file
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.reader import Reader
from jitwasm.pipeline import check
from jitwasm.types import DefType

__all__ = ["add_arguments"]

SECTIONS = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start",
    "element", "code", "data", "data count", "tag",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Complete the command's parser."""
    parser.description = "Show a module's sections, imports, exports and contents."
    parser.set_defaults(command=_inspect)
    parser.add_argument("file", metavar="FILE", help="the module; - reads standard input")


def _inspect(options: argparse.Namespace) -> int:
    data = read_file(options.file)
    info = check(data)
    print("\n".join(_description(data, info)))
    return 0


def _description(data: bytes, info: ModuleInfo) -> Iterable[str]:
    name = f"module {info.names.module!r}, " if info.names.module else "module, "
    yield f"{name}{len(data)} bytes"
    yield "\nsections:"
    for section, offset, size in _sections(data):
        yield f"  {offset:#10x} {size:>10}  {section}"
    yield f"\nimports: {len(info.imports)}"
    for row in info.imports:
        yield f"  {_typed(row.desc)} {row.module!r} {row.name!r}"
    yield f"\nexports: {len(info.exports)}"
    for export in info.exports:
        yield f"  {_typed(export.type)} {export.name!r}"
    yield "\ncontents:"
    for kind in ("functions", "tables", "memories", "globals", "tags"):
        total, imported = len(getattr(info, kind)), getattr(info, f"imported_{kind}")
        if total:
            yield f"  {total:>10}  {kind}" + (f", {imported} imported" if imported else "")
    for segments, kind in ((info.data, "data segments"), (info.elements, "element segments")):
        if segments:
            yield f"  {len(segments):>10}  {kind}"
    if info.start is not None:
        yield f"  start function: {info.function_name(info.start) or info.start}"


def _typed(type_: object) -> str:
    return f"function {type_}" if isinstance(type_, DefType) else str(type_)


def _sections(data: bytes) -> Iterable[tuple[str, int, int]]:
    """Name, offset and size of each section of a valid module."""
    reader = Reader(data, 8)
    while not reader.at_end:
        number, size = reader.u8(), reader.u32()
        start = reader.pos
        name = SECTIONS[number]
        if number == 0:
            name += f" {reader.name()!r}"
        reader.pos = start + size
        yield name, start, size
