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

from jitwasm.abi import FUNCREF
from jitwasm.backend import cpython, libc, runtime
from jitwasm.backend.arena import CodeArena
from jitwasm.backend.codegen import compile_unit, host_target
from jitwasm.backend.conversions import type_at
from jitwasm.backend.host import HostCalls, HostFunction, Hooks
from jitwasm.backend.loader import CodeImage, Describe, FrameInfo, ImageMap, load_image
from jitwasm.backend.refusals import refuse, refuse_arity, refuse_results
from jitwasm.backend.thunks import THUNK, thunk_ir
from jitwasm.backend.trampolines import TRAMPOLINE, c_thunk_ir, trampoline_ir
from jitwasm.backend.traps import make_trap
from jitwasm.abi import call_conv
from jitwasm.libcalls import LIBCALLS
from jitwasm.types import FuncType, RefType

__all__ = ["CodeImage", "FrameInfo", "HostFunction", "NativeRuntime", "native"]

RUNTIME_LEVEL, THUNK_LEVEL = 0, 1


class _WasmFunction(ctypes.Structure):
    """The self of an exported function's builtin: a FuncRef, in place."""

    _fields_ = (("_funcref", ctypes.c_uint8 * FUNCREF.size),)
    name: str
    type: FuncType
    owner: object

    @property
    def arity(self) -> int:
        return len(self.type.params)


_WasmFunction.__name__ = _WasmFunction.__qualname__ = "WasmFunction"


class NativeRuntime:
    """The process's native runtime. Use `native()`."""

    def __init__(self) -> None:
        self._arena = CodeArena()
        self._lock = threading.RLock()
        self._images: weakref.WeakSet[CodeImage] = weakref.WeakSet()
        self._maps: tuple[ImageMap, ...] | None = None
        self._compiled: dict[tuple[str, FuncType, bool], CodeImage] = {}
        self._definitions: deque[ctypes.Structure] = deque(maxlen=256)
        self._live_definitions: dict[int, ctypes.Structure] = {}
        self._hooks = Hooks()
        self._calls = HostCalls(self._hooks, self._trampoline)
        target = host_target(RUNTIME_LEVEL)
        self._wasm = self._add(
            load_image(self._arena, [compile_unit(runtime.wasm_ir(), target)], _nothing)
        )
        self._runtime = self._add(
            load_image(
                self._arena,
                [compile_unit(runtime.runtime_ir(), target)],
                libc.function_address,
                runtime=True,
            )
        )
        self._symbols = self._runtime.symbols
        self._set_up()

    # -- setting up -----------------------------------------------------------------------------

    def _set_up(self) -> None:
        self._hook_objects = (
            partial(make_trap, self._image_maps),
            refuse,
            refuse_arity,
            refuse_results,
        )
        for name, hook in zip(
            ("make_trap", "refuse", "arity", "results"), self._hook_objects, strict=True
        ):
            self._set(f"jw_hook_{name}", id(hook))
        # Never destroyed: native code holds the addresses of all this.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
        self._set("jw_host_callback", _address(self._calls.callback))
        self._set("jw_code_lo", self._arena.base)
        self._set("jw_code_hi", self._arena.split)
        self._set("jw_altstack_size", runtime.altstack_size())
        self._set("jw_main_tid", threading.main_thread().native_id or 0)
        key = ctypes.c_uint32()
        create = ctypes.CDLL(None).pthread_key_create
        if create(ctypes.byref(key), ctypes.c_void_p(self._symbols["jw_thread_exit"])) != 0:
            raise OSError("no thread-specific key left")
        self._set("jw_key", key.value)
        self._call("jw_check_handlers", None)
        getattr(ctypes.CDLL(None), "__register_atfork")(  # noqa: B009 (not mangled this way)
            None, None, ctypes.c_void_p(self._symbols["jw_fork_child"]), None
        )
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        self._arena.reset_lock()

    def _set(self, symbol: str, value: int) -> None:
        """Set a variable of the runtime."""
        ctypes.c_uint64.from_address(self._symbols[symbol]).value = value

    def _call(self, symbol: str, result: Any, *parameters: Any) -> int:
        """Call a function of the runtime, keeping the GIL."""
        types = [ctypes.c_int64] * len(parameters)
        value = ctypes.PYFUNCTYPE(result, *types)(self._symbols[symbol])(*parameters)
        return value if isinstance(value, int) else 0

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

    def _resolve_wasm(self, name: str) -> int | None:
        if name in LIBCALLS:
            return self._symbols[name]
        return self._wasm.symbols.get(name) or libc.function_address(name)

    def check_handlers(self) -> None:
        """Put our signal handlers on top of others that were installed since."""
        self._call("jw_check_handlers", None)

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
            owner: kept alive; must keep the FuncRef and its code.
            release_gil: release the GIL around every call.
        """
        thunk = self._emitted("thunk", type, release_gil).symbols[THUNK]
        bound = _WasmFunction.from_address(funcref)
        bound.name, bound.type, bound.owner = name, type, owner
        definition = cpython.method_def(name.encode(), thunk, doc.encode())
        function: Any = cpython.new_function(definition, bound, "jitwasm")
        # CPython reads the definition to the very end of the function's life, after weak
        # references to it have been cleared; so it goes some time later.
        key = id(definition)
        self._live_definitions[key] = definition
        weakref.finalize(function, self._retire, key).atexit = False
        return function  # type: ignore[no-any-return]

    def _retire(self, key: int) -> None:
        self._definitions.append(self._live_definitions.pop(key))

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
            target: the callable; results are converted as arguments of an export are.
            store_state, overflow: of the store it belongs to.
            host_calls: "fast" or "ctypes" (`Config.host_calls`).
        """
        function = HostFunction(
            type, target, id(target), self._symbols["jw_host_jump"], store_state, overflow
        )
        ready = ("trampoline", type, False) in self._compiled
        if host_calls == "fast" and ready:
            function.implementation = self._trampoline(type)
        else:
            function.implementation = self._symbols["jw_host_base"]
            self._calls.add(function, tier_up=host_calls == "fast")
        return function

    def c_function(
        self, type: FuncType, address: int, keep: object, store_state: int, overflow: int
    ) -> HostFunction:
        """Make a C function callable from wasm code, which calls it directly.

        Args:
            type: parameters and at most one result, all numeric, as in its C prototype.
            address: of the function.
            keep: kept alive for its sake.
            store_state, overflow: of the store it belongs to.
        """
        conv = call_conv(type)
        if len(type.results) > 1:
            raise TypeError("a C function has at most one result")
        if conv.overflow_params:
            code = self._emitted("c", type, False).symbols[TRAMPOLINE]
        else:
            code = self._symbols["jw_c_call"]
        return HostFunction(type, keep, address, code, store_state, overflow)

    def set_hooks(
        self,
        *,
        to_ref: Callable[[object, RefType, int], int] | None = None,
        from_ref: Callable[[int, RefType], object] | None = None,
        make_trap: Callable[[int, bytes, bytes], BaseException] | None = None,
    ) -> None:
        """Say how references travel.

        Args:
            to_ref: (object, reference type, address of an environment) -> word.
            from_ref: (word, reference type) -> object; not called for null, which is None.
            make_trap: (TrapCode, registers, stack) -> exception; the default makes `Trap`s.
        """
        for name, hook in (("to_ref", to_ref), ("from_ref", from_ref), ("make_trap", make_trap)):
            if hook is not None:
                if name != "make_trap":
                    setattr(self._hooks, name, hook)
                self._hook_objects += (hook,)
                self._set(f"jw_hook_{name}", id(hook))

    # -- emitted code ---------------------------------------------------------------------------

    def _trampoline(self, type_: FuncType) -> int:
        return self._emitted("trampoline", type_, False).symbols[TRAMPOLINE]

    def _emitted(self, kind: str, type_: FuncType, release_gil: bool) -> CodeImage:
        """Compile and load a thunk or trampoline, once for each type."""
        key = (kind, type_, release_gil)
        image = self._compiled.get(key)
        if image is None:
            with self._lock:
                image = self._compiled.get(key)
                if image is None:
                    image = self._compiled[key] = self._emit(kind, type_, release_gil)
        return image

    def _emit(self, kind: str, type_: FuncType, release_gil: bool) -> CodeImage:
        references: list[RefType] = []
        if kind == "thunk":
            text, references = thunk_ir(type_, release_gil)
        elif kind == "trampoline":
            text, references = trampoline_ir(type_)
        else:
            text = c_thunk_ir(type_)
        data = compile_unit(text, host_target(THUNK_LEVEL))
        resolve = partial(self._resolve_runtime, references)
        return self._add(load_image(self._arena, [data], resolve, runtime=True))

    def _resolve_runtime(self, references: list[RefType], name: str) -> int | None:
        found = type_at(self._symbols, references, name)
        return libc.function_address(name) if found is None else found


def _nothing(name: str) -> None:
    return None


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@functools.cache
def native() -> NativeRuntime:
    """The process's native runtime, made at first use."""
    return NativeRuntime()
