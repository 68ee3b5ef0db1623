"""What compilation leaves: a module's description and its machine code, not yet bound to anything.

A `CompiledModule` is immutable and belongs to no store: any number of instances, in any threads,
share it. The public `Module` (pipeline.py) is a compiled module that can also be made from bytes.
"""

from __future__ import annotations

import gc
import importlib
import threading
import weakref
from array import array
from collections.abc import Callable, Sequence
from functools import cached_property, partial

from jitwasm.abi import function_symbol
from jitwasm.backend.native import CodeImage, FrameInfo, native
from jitwasm.config import Config
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.records import record
from jitwasm.types import (
    DefType,
    ExternType,
    FuncType,
    GlobalType,
    MemoryType,
    TableType,
    TagType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

__all__ = [
    "CompiledModule",
    "ExportDescriptor",
    "ImportDescriptor",
    "InstanceCode",
    "LazyCode",
    "ModuleParts",
    "TierCounts",
]


@record(frozen=True)
class ImportDescriptor:
    """One import of a module (JavaScript API: `ModuleImportDescriptor`).

    Attributes:
        module, name: what it asks for.
        kind: "function", "table", "memory", "global" or "tag".
        type: the type wanted; of a function a `FuncType`.
    """

    module: str
    name: str
    kind: str
    type: FuncType | TableType | MemoryType | GlobalType | TagType


@record(frozen=True)
class ExportDescriptor:
    """One export of a module (JavaScript API: `ModuleExportDescriptor`).

    Attributes:
        name: under which it is exported.
        kind: "function", "table", "memory", "global" or "tag".
        type: its type; of a function a `FuncType`.
    """

    name: str
    kind: str
    type: FuncType | TableType | MemoryType | GlobalType | TagType


@record(frozen=True)
class TierCounts:
    """How many of a module's functions have which code.

    Attributes:
        functions: that the module defines.
        uncompiled: without code: they are compiled when they are first called.
        baseline: with code of the one-pass compiler.
        optimized: with code of LLVM's.
    """

    functions: int
    uncompiled: int
    baseline: int
    optimized: int


class InstanceCode(Protocol):
    """An instance, as far as it uses code."""

    def set_code(self, codes: array[int]) -> None:
        """Use this code for the defined functions, in order."""

    def set_word(self, offset: int, value: int) -> None:
        """Write one field of the vmctx."""

    def __hash__(self) -> int: ...


class LazyCode(Protocol):
    """Code that is compiled function by function, and replaced by better code."""

    def image(self, describe: Callable[[str], FrameInfo | None]) -> CodeImage:
        """An image in which a function is compiled when it is first called."""

    def entry_points(self) -> Sequence[int]:
        """Where the defined functions are entered by whoever keeps pointers to them."""

    def attach(self, context: InstanceCode) -> None:
        """Let an instance that is being made use the best code there is, now and later."""

    @property
    def counts(self) -> TierCounts:
        """How many functions are how far."""


@record(frozen=True)
class ModuleParts:
    """Everything a module consists of. Plain data, but for `lazy`.

    Attributes:
        data: the bytes it was made from.
        info: what they describe.
        objects: ELF objects that together define its functions.
        fingerprint: on what machines, with what versions, the objects are valid.
        config: how it was compiled.
        lazy: if functions are compiled at their first call, or optimised later.
    """

    data: bytes
    info: ModuleInfo
    objects: tuple[bytes, ...]
    fingerprint: str
    config: Config
    lazy: LazyCode | None = None


class CompiledModule:
    """A module that has been validated and compiled."""

    __slots__ = ("__weakref__", "_alive", "_image", "_lock", "_parts", "blueprint")

    def __init__(self, parts: ModuleParts) -> None:
        self._parts = parts
        self._alive: weakref.WeakSet[InstanceCode] = weakref.WeakSet()  # if they are counted
        self._image: CodeImage | None = None
        self.blueprint: object | None = None  # of blueprint.py; does not refer to the module
        self._lock = threading.Lock()

    @property
    def info(self) -> ModuleInfo:
        """Its index spaces and segments (internal)."""
        return self._parts.info

    @property
    def config(self) -> Config:
        """The configuration it was compiled with."""
        return self._parts.config

    @property
    def objects(self) -> tuple[bytes, ...]:
        """The ELF objects that define its functions."""
        return self._parts.objects

    @property
    def name(self) -> str | None:
        """The module's name from its name section, if it has one."""
        return self.info.names.module

    def imports(self) -> list[ImportDescriptor]:
        """What instantiation has to provide, in the module's order."""
        return [
            ImportDescriptor(row.module, row.name, *_described(row.desc))
            for row in self.info.imports
        ]

    def exports(self) -> list[ExportDescriptor]:
        """What an instance provides, in the module's order."""
        return [ExportDescriptor(row.name, *_described(row.type)) for row in self.info.exports]

    def custom_sections(self, name: str) -> list[bytes]:
        """The contents of every custom section of this name, in the module's order."""
        if not isinstance(name, str):
            raise TypeError(f"a section's name is a str, not {type(name).__name__}")
        return [row.payload for row in self.info.custom_sections if row.name == name]

    customSections = custom_sections  # as in `WebAssembly.Module.customSections(module, name)`

    def image(self) -> CodeImage:
        """The machine code, loaded into executable memory on first use (internal)."""
        with self._lock:
            if self._image is None:
                if self.config.tier != "optimized":
                    native().provide_helpers()
                describe, lazy = _Describer(self._parts).function, self._parts.lazy
                if lazy is not None:
                    self._image = lazy.image(describe)
                else:
                    self._image = native().load(self.objects, describe)
            return self._image

    def entry_points(self) -> Sequence[int]:
        """Where FuncRefs of its defined functions lead, in their order (internal)."""
        image, lazy = self.image(), self._parts.lazy
        if lazy is not None:
            return lazy.entry_points()
        defined = range(self.info.imported_functions, len(self.info.functions))
        return [image.symbols[function_symbol(funcidx)] for funcidx in defined]

    @property
    def tiers(self) -> TierCounts:
        """How far compilation is, function by function, at this moment."""
        lazy = self._parts.lazy
        if lazy is not None:
            return lazy.counts
        count = len(self.info.functions) - self.info.imported_functions
        if self.config.tier == "baseline":
            return TierCounts(count, 0, count, 0)
        return TierCounts(count, 0, 0, count)

    def attach(self, context: InstanceCode) -> None:
        """Let an instance that is being made follow the module's code (internal).

        Raises:
            MemoryError: there are as many instances as the configuration allows.
        """
        most = self.config.limits.instances
        if most is not None:
            self._count(context, most)
        if self._parts.lazy is not None:
            self._parts.lazy.attach(context)

    def _count(self, context: InstanceCode, most: int) -> None:
        if len(self._alive) >= most:
            gc.collect()  # what nobody can reach any more does not count
        with self._lock:
            if len(self._alive) >= most:
                raise MemoryError(f"{most} instances of the module are alive, the limit")
            self._alive.add(context)

    def checked(self) -> CompiledModule:
        """The same module with all bounds checked by comparison (internal).

        For memories that have the last page of their address space, where the pointers that
        guarded code derives from each other do not hold.
        """
        raise NotImplementedError

    def __copy__(self) -> CompiledModule:
        return self

    def __deepcopy__(self, memo: object) -> CompiledModule:
        return self

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        counts = f"{len(self.info.imports)} imports, {len(self.info.exports)} exports"
        return f"<{type(self).__module__}.{type(self).__qualname__}{name}: {counts}>"


_KINDS: dict[type, str] = {
    DefType: "function",
    TableType: "table",
    MemoryType: "memory",
    GlobalType: "global",
    TagType: "tag",
}


class _Describer:
    """Tells what a traceback says about a module's functions.

    It does not know the module: the image would hold it then, and it holds the image.
    """

    def __init__(self, parts: ModuleParts) -> None:
        self._info = parts.info
        self._data = parts.data
        self._config = parts.config

    def function(self, symbol: str) -> FrameInfo | None:
        """About the function of a symbol `f<idx>`."""
        if not symbol[1:].isdecimal():
            return None
        funcidx, info = int(symbol[1:]), self._info
        locate = partial(self._locate, funcidx)
        return FrameInfo(funcidx, info.function_name(funcidx), info.names.module, locate)

    def _locate(self, funcidx: int, at: int) -> int | None:
        found: int | None = self._positions.find(funcidx, at)
        return found

    @cached_property
    def _positions(self) -> Any:
        # Not at import: it brings compilers, and most programs never ask.
        positions = importlib.import_module("jitwasm.positions")
        return positions.Positions(self._data, self._info, self._config)


def _described(
    type_: ExternType,
) -> tuple[str, FuncType | TableType | MemoryType | GlobalType | TagType]:
    kind = _KINDS[type(type_)]
    if isinstance(type_, DefType):
        assert isinstance(type_.comp, FuncType)
        return kind, type_.comp
    return kind, type_
