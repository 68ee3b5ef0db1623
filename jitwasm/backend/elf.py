"""Relocatable ELF objects for x86-64, as LLVM writes them (System V ABI, "Object Files").

Only decoding: what the sections, symbols and relocations of an object are. loader.py puts objects
into memory. The objects are our own compiler's, so what is unexpected is a defect: `LoadError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from jitwasm.records import record

__all__ = ["LoadError", "ObjectFile", "Section", "Symbol"]

EM_X86_64 = 62
SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 1, 2, 4, 8
SHT_X86_64_UNWIND = 0x70000001
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SHN_UNDEF, SHN_ABS = 0, 0xFFF1
STB_LOCAL = 0
STT_FUNC, STT_SECTION = 2, 3

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")


class LoadError(RuntimeError):
    """An object cannot be loaded: a defect of jitwasm, never of the module compiled."""


@record(frozen=True)
class Section:
    """One section: what its header says."""

    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int

    @property
    def loaded(self) -> bool:
        """Whether it becomes part of the image."""
        return bool(self.flags & SHF_ALLOC) and self.type in (SHT_PROGBITS, SHT_NOBITS)

    @property
    def writable(self) -> bool:
        return bool(self.flags & SHF_WRITE)

    @property
    def unwinding(self) -> bool:
        """Whether it is the `.eh_frame` section, which is read but not loaded."""
        return self.name == ".eh_frame"


@record(frozen=True)
class Symbol:
    """One symbol; `section` is an index, or None for an undefined one."""

    name: str
    section: int | None
    value: int
    size: int
    is_global: bool
    is_function: bool


class ObjectFile:
    """A decoded object.

    Attributes:
        data: the object's bytes.
        sections: by index, as the ELF section header table.
        symbols: by index, as the ELF symbol table.
    """

    def __init__(self, data: bytes, expected_machine: int = EM_X86_64) -> None:
        self.data = data
        if len(data) < _HEADER.size or data[:4] != b"\x7fELF":
            raise LoadError("not an ELF object")
        header = _HEADER.unpack_from(data)
        machine, table, count, names = header[2], header[6], header[12], header[13]
        if machine != expected_machine or header[1] != 1:
            raise LoadError("not a relocatable object for this machine")
        rows = [_SECTION.unpack_from(data, table + _SECTION.size * i) for i in range(count)]
        self.sections = [
            Section(self._text(rows[names][4] + row[0]), row[1], row[2], *row[4:9]) for row in rows
        ]
        self.symbols = list(self._read_symbols())

    def _text(self, offset: int) -> str:
        return self.data[offset : self.data.index(b"\0", offset)].decode()

    def _read_symbols(self) -> Iterator[Symbol]:
        table = next((s for s in self.sections if s.type == SHT_SYMTAB), None)
        if table is None:
            return
        strings = self.sections[table.link].offset
        for name, info, _, index, value, size in _SYMBOL.iter_unpack(self.contents(table)):
            if index == SHN_ABS:  # the file's name, and absolute values that nothing refers to
                index = SHN_UNDEF
            yield Symbol(
                name=self._text(strings + name) if name else "",
                section=None if index == SHN_UNDEF else index,
                value=value,
                size=size,
                is_global=info >> 4 != STB_LOCAL,
                is_function=info & 15 == STT_FUNC,
            )

    def contents(self, section: Section) -> bytes:
        """The bytes of a section."""
        if section.type == SHT_NOBITS:
            return bytes(section.size)
        return self.data[section.offset : section.offset + section.size]

    def relocations(self) -> Iterator[tuple[int, Iterator[tuple[int, int, int, int]]]]:
        """For each section that has any: its index, and rows (offset, type, symbol, addend)."""
        for section in self.sections:
            if section.type == SHT_RELA:
                rows = _RELA.iter_unpack(self.contents(section))
                yield section.info, ((at, i & 0xFFFFFFFF, i >> 32, add) for at, i, add in rows)
