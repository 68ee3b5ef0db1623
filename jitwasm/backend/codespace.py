"""All machine code of the process: images in the arena, and what their symbols refer to.

Wasm code may refer to the libcalls and the C library; the runtime's own code to all of the
runtime's symbols and CPython's C API.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence

from jitwasm.backend import cpython, libc
from jitwasm.backend.arena import CodeArena
from jitwasm.backend.loader import (
    CodeImage,
    Describe,
    ImageMap,
    Resolve,
    load_code,
    load_image,
)
from jitwasm.backend.runtime.prebuilt import compile_object, prebuilt_object, source_digest
from jitwasm.diskcache import cache_key, process_cache
from jitwasm.libcalls import LIBCALLS

__all__ = ["CodeSpace"]


class CodeSpace:
    """Loads code. Made once.

    Attributes:
        low, high: the range of wasm code, where a fault is a trap.
    """

    def __init__(self) -> None:
        self._arena = CodeArena()
        self.low, self.high = self._arena.base, self._arena.split
        self._images: weakref.WeakSet[CodeImage] = weakref.WeakSet()
        self._maps: tuple[ImageMap, ...] | None = None
        self._loads = 0
        self._symbols: dict[str, int] = {}
        self._runtime = self.load_runtime(_object("runtime"), self.resolve)
        self._symbols = self._runtime.symbols
        # Among wasm code: what LLVM may call there for accesses to linear memory.
        self._wasm = self._add(load_image(self._arena, [_object("wasm")], self.resolve))

    def symbol(self, name: str) -> int:
        """The address of a symbol of the runtime. Raises KeyError."""
        return self._symbols[name]

    def load_wasm(self, objects: Sequence[bytes], describe: Describe) -> CodeImage:
        """Load wasm code."""
        return self._add(load_image(self._arena, objects, self._resolve_wasm, describe))

    def load_code(
        self,
        code: bytes | bytearray,
        find_symbols: Callable[[], dict[str, int]],
        describe: Describe,
    ) -> CodeImage:
        """Load wasm code that needs no relocation."""
        return self._add(load_code(self._arena, code, find_symbols, describe))

    def load_runtime(self, data: bytes, resolve: Resolve) -> CodeImage:
        """Load an object of the runtime's, or an adapter."""
        return self._add(load_image(self._arena, [data], resolve, runtime=True))

    def resolve(self, name: str) -> int | None:
        """The address of a symbol that the runtime's own code refers to."""
        return self._symbols.get(name) or libc.function_address(cpython.ALIASES.get(name, name))

    def _resolve_wasm(self, name: str) -> int | None:
        if name in LIBCALLS:
            return self.symbol(name)
        return self._wasm.symbols.get(name) or libc.function_address(name)

    def patch(self, address: int, data: bytes) -> None:
        """Change an instruction of wasm code (see `CodeArena.patch`)."""
        self._arena.patch(address, data)

    def _add(self, image: CodeImage) -> CodeImage:
        self._images.add(image)
        self._set_maps(None)  # the maps of images that have gone do no harm until then
        return image

    def maps(self) -> tuple[ImageMap, ...]:
        """The maps of all images: for backtraces, which may outlive the images."""
        while self._maps is None:
            count = self._loads
            try:
                maps = tuple(image.map for image in self._images)
            except RuntimeError:
                continue  # another thread is loading
            if count == self._loads:
                self._set_maps(maps)
            return maps
        return self._maps

    def _set_maps(self, maps: tuple[ImageMap, ...] | None) -> None:
        """Native code finds them, too."""
        if maps is None:
            self._loads += 1
        variable = self._symbols.get("jw_maps")
        if variable is not None:
            before = self._maps  # not to be freed before the variable is set
            ctypes.c_uint64.from_address(variable).value = 0 if maps is None else id(maps)
            self._maps = maps
            del before


def _object(name: str) -> bytes:
    data = prebuilt_object(name)
    if data is None:
        cache = process_cache()
        key = cache_key("runtime", name, source_digest())
        data = cache.get(key) if cache is not None else None
        if data is None:
            data = compile_object(name)
            if cache is not None:
                cache.put(key, data)
    return data
