"""The native runtime: loading code, calling it from Python and calling Python from it.

One `NativeRuntime` serves the process; `native()` makes it at first use. It owns the code arena, the
signal handlers and the thread key, and is never torn down: threads that outlive the interpreter's
end may still run code.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jitwasm.abi import FUNCREF, call_conv
from jitwasm.backend import cpython, libc
from jitwasm.backend.arena import CodeArena
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.conversions import type_at
from jitwasm.backend.host import HostCalls, HostFunction, Hooks
from jitwasm.backend.loader import CodeImage, Describe, FrameInfo, ImageMap, load_image
from jitwasm.backend.refusals import refuse, refuse_arity, refuse_results
from jitwasm.backend.runtime.assemble import WASM_PART, part_of, part_text
from jitwasm.backend.thunks import THUNK, thunk_ir
from jitwasm.backend.trampolines import TRAMPOLINE, c_thunk_ir, trampoline_ir
from jitwasm.backend.traps import make_trap
from jitwasm.libcalls import LIBCALLS
from jitwasm.types import FuncType, RefType

__all__ = ["CodeImage", "FrameInfo", "HostFunction", "NativeRuntime", "native"]

RUNTIME_LEVEL, THUNK_LEVEL = 0, 1

_MINSIGSTKSZ = 249  # sysconf's number of _SC_MINSIGSTKSZ, for which Python has no name
_HANDLER_STACK = 64 * 1024


class _WasmFunction(ctypes.Structure):
    """The self of an exported function's builtin: a FuncRef, in place."""

    _fields_ = (("_funcref", ctypes.c_uint8 * FUNCREF.size),)
    name: str
    type: FuncType
    owner: object

    @property
    def arity(self) -> int:
        return len(self.type.params)


_WasmFunction.__name__ = _WasmFunction.__qualname__ = "WasmFunction"  # shows in the builtin's repr


class NativeRuntime:
    """The process's native runtime. Use `native()`."""

    def __init__(self) -> None:
        self._arena = CodeArena()
        self._lock = threading.RLock()
        self._images: weakref.WeakSet[CodeImage] = weakref.WeakSet()
        self._maps: tuple[ImageMap, ...] | None = None
        self._parts: dict[str, CodeImage] = {}
        self._emitted: dict[tuple[str, FuncType, bool], int] = {}
        self._keep: list[object] = []
        self._definitions: dict[int, ctypes.Structure] = {}
        self._retired: deque[ctypes.Structure] = deque(maxlen=256)
        self._hooks = Hooks()
        self._host_calls = HostCalls(self._hooks, partial(self._code_for, "trampoline"))
        self._set_up()

    # -- setting up -----------------------------------------------------------------------------

    def _set_up(self) -> None:
        self._set("jw_code_lo", self._arena.base)
        self._set("jw_code_hi", self._arena.split)
        self._set("jw_altstack_size", _altstack_size())
        self._set("jw_main_tid", threading.main_thread().native_id or 0)
        self._set("jw_host_callback", _function_address(self._host_calls.callback))
        for name, hook in (
            ("make_trap", partial(make_trap, self._image_maps)),
            ("arity", refuse_arity),
            ("refuse", refuse),
            ("results", refuse_results),
            ("to_ref", self._hooks.to_ref),
            ("from_ref", self._hooks.from_ref),
        ):
            self._set_hook(name, hook)
        # Native code holds the addresses of all this, beyond the interpreter's end.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
        process = ctypes.CDLL(None)
        key = ctypes.c_uint32()
        exit_thread = ctypes.c_void_p(self._symbol("jw_thread_exit"))
        if process.pthread_key_create(ctypes.byref(key), exit_thread) != 0:
            raise OSError("the process has no thread-specific key left")
        self._set("jw_key", key.value)
        self.check_handlers()
        # By getattr: the name would be mangled here. It is what pthread_atfork calls.
        getattr(process, "__register_atfork")(  # noqa: B009
            None, None, ctypes.c_void_p(self._symbol("jw_fork_child")), None
        )
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        # A thread that no longer exists may have held them.
        self._lock = threading.RLock()
        self._arena.reset_lock()

    def _symbol(self, name: str) -> int:
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
        data = compile_unit(part_text(part), host_target(RUNTIME_LEVEL))
        runtime = part != WASM_PART
        return self._add(
            load_image(self._arena, [data], self._resolve_runtime, runtime=runtime)
        )

    def _resolve_runtime(self, name: str) -> int | None:
        if part_of(name) not in (None, WASM_PART):
            return self._symbol(name)
        return libc.function_address(cpython.ALIASES.get(name, name))

    def _set(self, variable: str, value: int) -> None:
        """Set a variable of the runtime."""
        kind = ctypes.c_uint32 if variable == "jw_key" else ctypes.c_uint64
        kind.from_address(self._symbol(variable)).value = value

    def _set_hook(self, name: str, hook: object) -> None:
        self._keep.append(hook)
        self._set(f"jw_hook_{name}", id(hook))

    @functools.cached_property
    def check_handlers(self) -> Callable[[], None]:
        """Put our signal handlers on top of others that were installed since."""
        function: Callable[[], None] = ctypes.PYFUNCTYPE(None)(self._symbol("jw_check_handlers"))
        return function

    # -- loading --------------------------------------------------------------------------------

    def load(
        self, objects: Sequence[bytes], describe: Describe = lambda symbol: None
    ) -> CodeImage:
        """Load objects of wasm code; the image lives as long as the result does.

        Args:
            objects: as `compile_unit` makes them.
            describe: what a symbol stands for in a backtrace, or None.
        """
        self.check_handlers()
        return self._add(load_image(self._arena, objects, self._resolve_wasm, describe))

    def _resolve_wasm(self, name: str) -> int | None:
        if name in LIBCALLS or part_of(name) == WASM_PART:
            return self._symbol(name)
        return libc.function_address(name)

    def _add(self, image: CodeImage) -> CodeImage:
        self._images.add(image)
        self._maps = None
        weakref.finalize(image, self._forget_maps).atexit = False
        return image

    def _forget_maps(self) -> None:
        self._maps = None

    def _image_maps(self) -> tuple[ImageMap, ...]:
        maps = self._maps
        if maps is None:
            maps = self._maps = tuple(image.map for image in self._images)
        return maps

    # -- calling wasm code ----------------------------------------------------------------------

    def function(
        self,
        type: FuncType,
        funcref: int,
        name: str,
        doc: str,
        owner: object,
        release_gil: bool = False,
    ) -> Callable[..., Any]:
        """A builtin that calls the function at `funcref`, whose code and env it reads each time.

        Args:
            type: its function type.
            funcref: address of its FuncRef.
            name, doc: what the builtin shows; a doc that begins with "name(a, b, /)\\n--\\n\\n"
                gives it a signature.
            owner: kept alive; must keep the FuncRef and its code. It is the `owner` of the
                builtin's `__self__`.
            release_gil: release the GIL around every call.
        """
        thunk = self._code_for("thunk", type, release_gil)
        if cpython.layout().wrapped:
            bound: Any = _WasmFunction.from_address(funcref)
        else:
            bound = _NumberedFunction(funcref)
        bound.name, bound.type, bound.owner = name, type, owner
        definition = cpython.method_def(name.encode(), thunk, doc.encode())
        function = cpython.new_function(definition, bound, "jitwasm")
        # CPython reads the definition until the very end of the function's life, after weak
        # references to it have been cleared; so it goes some time later.
        self._definitions[id(definition)] = definition
        weakref.finalize(function, self._retire, id(definition)).atexit = False
        return function

    def _retire(self, key: int) -> None:
        self._retired.append(self._definitions.pop(key))

    # -- calling out of wasm code ---------------------------------------------------------------

    def host_function(
        self,
        type: FuncType,
        target: Callable[..., Any],
        store_state: int,
        overflow: int,
        host_calls: str = "fast",
    ) -> HostFunction:
        """Make a Python callable callable from wasm code.

        Args:
            type: its function type.
            target: the callable; its results are converted as arguments of an export are.
            store_state, overflow: of the store it belongs to.
            host_calls: "fast" or "ctypes" (`Config.host_calls`).
        """
        code = self._symbol("jw_host_jump")
        function = HostFunction(type, target, id(target), code, store_state, overflow)
        fast = self._emitted.get(("trampoline", type, False)) if host_calls == "fast" else None
        if fast is None:
            self._host_calls.add(function, tier_up=host_calls == "fast")
        function.implementation = fast or self._symbol("jw_host_base")
        return function

    def c_function(
        self, type: FuncType, address: int, keep: object, store_state: int, overflow: int
    ) -> HostFunction:
        """Make a C function callable from wasm code, directly.

        It runs with or without the GIL: whichever the call has at the moment.

        Args:
            type: parameters and at most one result, all of them numeric, as in its C prototype.
            address: of the function.
            keep: kept alive for its sake.
            store_state, overflow: of the store it belongs to.
        """
        if len(type.results) > 1:
            raise TypeError("a C function has at most one result")
        if call_conv(type).overflow_params:
            code = self._code_for("c", type)
        else:
            code = self._symbol("jw_c_call")
        return HostFunction(type, keep, address, code, store_state, overflow)

    def set_hooks(
        self,
        *,
        to_ref: Callable[[object, RefType, int], int] | None = None,
        from_ref: Callable[[int, RefType], object] | None = None,
        make_trap: Callable[[int, bytes, bytes], BaseException] | None = None,
    ) -> None:
        """Say how references travel and what a trap is.

        Args:
            to_ref: (object, reference type, address of an environment) -> word.
            from_ref: (word, reference type) -> object; not called for null, which is None.
            make_trap: (TrapCode, registers, stack) -> exception; the default makes `Trap`s.
        """
        if to_ref is not None:
            self._hooks.to_ref = to_ref
            self._set_hook("to_ref", to_ref)
        if from_ref is not None:
            self._hooks.from_ref = from_ref
            self._set_hook("from_ref", from_ref)
        if make_trap is not None:
            self._set_hook("make_trap", make_trap)

    # -- emitted code ---------------------------------------------------------------------------

    def _code_for(self, kind: str, type_: FuncType, release_gil: bool = False) -> int:
        """The address of a thunk or trampoline, which is made once for each type."""
        key = (kind, type_, release_gil)
        address = self._emitted.get(key)
        if address is None:
            with self._lock:
                address = self._emitted.get(key)
                if address is None:
                    address = self._emitted[key] = self._emit(kind, type_, release_gil)
        return address

    def _emit(self, kind: str, type_: FuncType, release_gil: bool) -> int:
        references: list[RefType] = []
        symbol = TRAMPOLINE
        if kind == "thunk":
            symbol = THUNK
            text, references = thunk_ir(type_, release_gil)
        elif kind == "trampoline":
            text, references = trampoline_ir(type_)
        else:
            text = c_thunk_ir(type_)
        data = compile_unit(text, host_target(THUNK_LEVEL))

        def resolve(name: str) -> int | None:
            return type_at(references, name) or self._resolve_runtime(name)

        image = self._add(load_image(self._arena, [data], resolve, runtime=True))
        self._keep.append(image)
        return image.symbols[symbol]


class _NumberedFunction(int):
    """`_WasmFunction` for interpreters whose object layout is unknown: the FuncRef's address."""

    name: str
    type: FuncType
    owner: object
    arity = _WasmFunction.arity


def _function_address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _altstack_size() -> int:
    """Bytes of a signal stack: what the kernel saves there depends on the processor."""
    try:
        minimum = os.sysconf(_MINSIGSTKSZ)
    except (OSError, ValueError):
        minimum = 0
    return -(-(max(minimum, 16 * 1024) + _HANDLER_STACK) // libc.PAGE_SIZE) * libc.PAGE_SIZE


@functools.cache
def native() -> NativeRuntime:
    """The process's native runtime, made at first use."""
    return NativeRuntime()
