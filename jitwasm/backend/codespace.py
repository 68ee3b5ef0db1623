"""All machine code of the process: images in the arena, and what their symbols refer to.

Wasm code may refer to the libcalls and the C library; the runtime's own code to all of the
runtime's symbols and CPython's C API. A part of the runtime is compiled when something first
refers to it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence

from jitwasm.backend import cpython, libc
from jitwasm.backend.arena import CodeArena
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.loader import CodeImage, Describe, ImageMap, Resolve, load_image
from jitwasm.backend.runtime.assemble import WASM_PART, part_of, part_text
from jitwasm.libcalls import LIBCALLS

__all__ = ["CodeSpace"]

_RUNTIME_LEVEL = 0  # nothing in it is both hot and long


class CodeSpace:
    """Loads code. Made once.

    Attributes:
        low, high: the range of wasm code, where a fault is a trap.
    """

    def __init__(self) -> None:
        self._arena = CodeArena()
        self.low, self.high = self._arena.base, self._arena.split
        self._lock = threading.RLock()
        self._images: weakref.WeakSet[CodeImage] = weakref.WeakSet()
        self._maps: tuple[ImageMap, ...] | None = None
        self._parts: dict[str, CodeImage] = {}

    def symbol(self, name: str) -> int:
        """The address of a symbol of the runtime; loads its part at first use."""
        part = part_of(name)
        if part is None:
            raise KeyError(name)
        image = self._parts.get(part)
        if image is None:
            with self._lock:
                image = self._parts.get(part)
                if image is None:
                    image = self._parts[part] = self._load_part(part)
        return image.symbols[name]

    def _load_part(self, part: str) -> CodeImage:
        data = compile_unit(part_text(part), host_target(_RUNTIME_LEVEL))
        if part == WASM_PART:
            return self._add(load_image(self._arena, [data], self._resolve_wasm))
        return self.load_runtime(data, self.resolve)

    def load_wasm(self, objects: Sequence[bytes], describe: Describe) -> CodeImage:
        """Load wasm code."""
        return self._add(load_image(self._arena, objects, self._resolve_wasm, describe))

    def load_runtime(self, data: bytes, resolve: Resolve) -> CodeImage:
        """Load an object of the runtime's, or an adapter."""
        return self._add(load_image(self._arena, [data], resolve, runtime=True))

    def resolve(self, name: str) -> int | None:
        """The address of a symbol that the runtime's own code refers to."""
        if part_of(name) not in (None, WASM_PART):
            return self.symbol(name)
        return libc.function_address(cpython.ALIASES.get(name, name))

    def _resolve_wasm(self, name: str) -> int | None:
        if name in LIBCALLS or part_of(name) == WASM_PART:
            return self.symbol(name)
        return libc.function_address(name)

    def _add(self, image: CodeImage) -> CodeImage:
        self._images.add(image)
        self._maps = None  # the maps of images that have gone do no harm until then
        return image

    def maps(self) -> tuple[ImageMap, ...]:
        """The maps of all images: for backtraces, which may outlive the images."""
        maps = self._maps
        if maps is None:
            maps = self._maps = tuple(image.map for image in self._images)
        return maps

    def after_fork(self) -> None:
        """In a forked child: a thread that no longer exists may have held the lock."""
        self._lock = threading.RLock()
