"""From objects to a code image: an own small loader into the code arena.

All objects of an image are laid out together: code, then constants, then the stubs and table
entries that reach symbols outside, then (only the runtime's own objects have any) writable data
on pages of its own. A symbol that no object of the image defines is looked up by `resolve`.

`.eh_frame` is not loaded: no unwinder of the C library ever sees our code. `unwind.py` reads it
from the object when a trap's frames are asked for.
"""

from __future__ import annotations

import bisect
import functools
import struct
from collections.abc import Callable, Iterable, Sequence

from jitwasm.backend.arena import CodeArena, Piece
from jitwasm.backend.elf import LoadError, ObjectFile
from jitwasm.backend.libc import PAGE_SIZE
from jitwasm.records import record

__all__ = ["CodeImage", "FrameInfo", "LoadError", "load_code", "load_image"]

R_64, R_PC32, R_PLT32, R_GOTPCREL, R_PC64, R_GOTPCRELX, R_REX_GOTPCRELX = 1, 2, 4, 9, 24, 41, 42

_JUMP_SLOT = b"\xff\x25\x02\0\0\0\x0f\x0b"  # jmp *2(%rip); ud2; then the address
_INT32, _INT64, _UINT64 = struct.Struct("<i"), struct.Struct("<q"), struct.Struct("<Q")
_MASK = 2**64 - 1
_NEAR = 2**31 - 2**27

Resolve = Callable[[str], "int | None"]
Describe = Callable[[str], "FrameInfo | None"]


@record(frozen=True)
class FrameInfo:
    """What a symbol of an image stands for in a backtrace.

    Attributes:
        funcidx: the function's index in its module.
        name: its name, or None.
        module: the module's name, or None.
        locate: the module offset of the instruction that a place in the code, in bytes from the
            function's start, comes from; for code without unwind tables.
    """

    funcidx: int
    name: str | None = None
    module: str | None = None
    locate: Callable[[int], int | None] | None = None


def _nameless(symbol: str) -> None:
    return None


@record(frozen=True, eq=False)
class ImageMap:
    """What is where in an image: enough to find the frames of a trap after the image has gone.

    Attributes:
        lo, hi: the executable range.
        objects: each object's decoded form with the address of every section that was loaded.
        find_symbols: gives the addresses of global symbols.
        describe: what a symbol stands for.
    """

    lo: int
    hi: int
    objects: tuple[tuple[ObjectFile, dict[int, int]], ...]
    find_symbols: Callable[[], dict[str, int]]
    describe: Describe

    @functools.cached_property
    def symbols(self) -> dict[str, int]:
        """The addresses of global symbols."""
        return self.find_symbols()

    def has_unwind_tables(self, pc: int) -> bool:
        """Whether the code at `pc` comes from LLVM."""
        return any(
            address <= pc < address + obj.sections[index].size
            for obj, places in self.objects
            if any(section.unwinding for section in obj.sections)
            for index, address in places.items()
        )

    @functools.cached_property
    def _starts(self) -> list[tuple[int, str]]:
        return sorted((at, name) for name, at in self.symbols.items())

    def function_at(self, pc: int) -> tuple[str, int] | None:
        """The symbol of the function whose code holds `pc`, and its address."""
        if not self.lo <= pc < self.hi:
            return None
        index = bisect.bisect_right(self._starts, pc, key=lambda row: row[0])
        return (self._starts[index - 1][1], self._starts[index - 1][0]) if index else None


class CodeImage:
    """Loaded code. The memory may be used again when the last reference has gone.

    Attributes:
        symbols: addresses of global symbols.
        lo, hi: the executable range.
        map: what is where; may outlive the image.
        owner: kept alive for the image's sake.
    """

    def __init__(self, arena: CodeArena, piece: Piece, image_map: ImageMap) -> None:
        self._arena, self._piece = arena, piece
        self.map = image_map
        self.lo, self.hi = image_map.lo, image_map.hi
        self.owner: object = None
        self.closed = False
        arena.tie(piece, self)

    @property
    def symbols(self) -> dict[str, int]:
        return self.map.symbols

    def function_at(self, pc: int) -> tuple[str, int] | None:
        """The symbol of the function whose code holds `pc`, and its address."""
        return self.map.function_at(pc)

    def close(self) -> None:
        """Free the memory now. The caller vouches that nothing refers to the code any more."""
        self.closed = True
        if self._arena.untie(self):
            self._arena.release(self._piece)


def load_image(
    arena: CodeArena,
    objects: Sequence[bytes],
    resolve: Resolve,
    describe: Describe = _nameless,
    runtime: bool = False,
) -> CodeImage:
    """Load objects into the arena.

    Args:
        objects: as `compile_unit` makes them.
        resolve: address of a symbol from outside.
        describe: what a symbol stands for in a backtrace.
        runtime: load into the arena's runtime part, where a fault is not a trap.

    Raises:
        LoadError: a symbol is unknown, or an object has what this loader does not know.
        MemoryError: the arena is full.
    """
    linker = _Linker([ObjectFile(data) for data in objects], resolve)
    piece = arena.allocate(linker.size, runtime)
    try:
        image_map = linker.link(piece.address, describe)
        arena.fill(piece, linker.image, linker.executable)
    except BaseException:
        arena.release(piece)
        raise
    return CodeImage(arena, piece, image_map)


def load_code(
    arena: CodeArena,
    code: bytes | bytearray,
    find_symbols: Callable[[], dict[str, int]],
    describe: Describe = _nameless,
) -> CodeImage:
    """Load code that needs no relocation and keeps frame pointers.

    Args:
        code: runs wherever it lies.
        find_symbols: gives its symbols, as offsets into it, if they are asked for.
        describe: what a symbol stands for in a backtrace.

    Raises:
        MemoryError: the arena is full.
    """
    piece = arena.allocate(len(code))
    base = piece.address

    def symbols() -> dict[str, int]:
        return {name: base + at for name, at in find_symbols().items()}

    try:
        arena.fill(piece, code, piece.size)
    except BaseException:
        arena.release(piece)
        raise
    return CodeImage(arena, piece, ImageMap(base, base + piece.size, (), symbols, describe))


class _Linker:
    """Lays objects out and relocates them: `size` first, then `link` at an address.

    Attributes:
        image: the contents; offsets into it are called `at`.
        executable: bytes of its first part, whole pages: code, constants and linkage.
        size: bytes of the whole.
    """

    def __init__(self, objects: list[ObjectFile], resolve: Resolve) -> None:
        self._objects = objects
        self._resolve = resolve
        self._places: list[dict[int, int]] = [{} for _ in objects]  # section index -> at
        self._symbols: dict[str, int] = {}  # global symbol -> at
        self._stubs: dict[str, int] = {}  # outside symbol -> `at` of it or of a jump to it
        self._slots: dict[str | int, int] = {}  # outside symbol, or an `at` -> at of its address
        end = 0
        for writable in (False, True):
            for number, obj in enumerate(objects):
                for index, section in enumerate(obj.sections):
                    if section.loaded and section.writable == writable and not section.unwinding:
                        align = section.align or 1
                        end = -(-end // align) * align
                        self._places[number][index] = end
                        end += section.size
            if not writable:
                self._linkage = -(-end // 16) * 16
                end = self._linkage + self._count_linkage()
                end = self.executable = -(-end // PAGE_SIZE) * PAGE_SIZE
        self.size = end
        self.image = bytearray(end)

    def _count_linkage(self) -> int:
        """Bytes that stubs and slots take at most."""
        outside = {s.name for obj in self._objects for s in obj.symbols if s.section is None}
        inside = sum(s.section is not None for obj in self._objects for s in obj.symbols)
        return 24 * len(outside) + 8 * inside

    def link(self, address: int, describe: Describe) -> ImageMap:
        """Make the image for `address`."""
        self._address = address
        for obj, places in zip(self._objects, self._places, strict=True):
            for index, at in places.items():
                section = obj.sections[index]
                self.image[at : at + section.size] = obj.contents(section)
            for symbol in obj.symbols:
                if symbol.is_global and symbol.section is not None:
                    if symbol.name in self._symbols:
                        raise LoadError(f"symbol {symbol.name} is defined twice")
                    self._symbols[symbol.name] = places[symbol.section] + symbol.value
        for obj, places in zip(self._objects, self._places, strict=True):
            for target, rows in obj.relocations():
                if target in places:
                    self._relocate(obj, places, places[target], rows)
        symbols = {name: address + at for name, at in self._symbols.items()}
        return ImageMap(
            lo=address,
            hi=address + self.executable,
            objects=tuple(
                (obj, {index: address + at for index, at in places.items()})
                for obj, places in zip(self._objects, self._places, strict=True)
            ),
            find_symbols=lambda: symbols,
            describe=describe,
        )

    def _relocate(
        self,
        obj: ObjectFile,
        places: dict[int, int],
        base: int,
        rows: Iterable[tuple[int, int, int, int]],
    ) -> None:
        image, symbols = self.image, obj.symbols
        for offset, kind, index, addend in rows:
            place = base + offset
            symbol = symbols[index]
            if symbol.section is not None:
                target: int | str = places[symbol.section] + symbol.value
            else:
                target = self._symbols.get(symbol.name, symbol.name)
            if kind in (R_PC32, R_PLT32):
                at = self._direct(target) if isinstance(target, str) else target
                _INT32.pack_into(image, place, at + addend - place)
            elif kind in (R_GOTPCREL, R_GOTPCRELX, R_REX_GOTPCRELX):
                _INT32.pack_into(image, place, self._slot(target) + addend - place)
            elif kind == R_64:
                _UINT64.pack_into(image, place, self._absolute(target) + addend & _MASK)
            elif kind == R_PC64 and isinstance(target, int):
                _INT64.pack_into(image, place, target + addend - place)
            else:
                raise LoadError(f"relocation of type {kind} against {symbol.name!r}")

    def _absolute(self, target: int | str) -> int:
        if isinstance(target, int):
            return self._address + target
        found = self._resolve(target)
        if found is None:
            raise LoadError(f"unknown symbol {target}")
        return found

    def _slot(self, target: int | str) -> int:
        """Where the address of `target` lies (a global offset table's entry)."""
        at = self._slots.get(target)
        if at is None:
            at = self._slots[target] = self._linkage
            self._linkage += 8
            _UINT64.pack_into(self.image, at, self._absolute(target))
        return at

    def _direct(self, name: str) -> int:
        """What a 32-bit displacement to an outside symbol leads to: a stub where it is too far."""
        at = self._stubs.get(name)
        if at is None:
            address = self._absolute(name)
            at = address - self._address
            if not -_NEAR < at < _NEAR:
                at = self._linkage
                self._linkage += 16
                self.image[at : at + 16] = _JUMP_SLOT + _UINT64.pack(address)
            self._stubs[name] = at
        return at
