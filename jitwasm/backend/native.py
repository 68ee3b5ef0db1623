"""The native runtime: loading code, calling it from Python and calling Python from it.

One `NativeRuntime` serves the process; `native()` makes it at first use. It owns the code arena,
the signal handlers and the thread key, and is never torn down: threads that outlive the
interpreter's end may still run code.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import sys
import threading
from array import array
from collections.abc import Callable, Sequence

from jitwasm.abi import FUNCREF
from jitwasm.backend import cpython, libc
from jitwasm.backend.adapters import Adapters
from jitwasm.backend.codespace import CodeSpace
from jitwasm.backend.helpertable import fill_helpers
from jitwasm.backend.host import (
    Hooks,
    HostCalls,
    HostFunction,
    HostFunctions,
    HostTypes,
    host_function_at,
)
from jitwasm.backend.loader import CodeImage, Describe, FrameInfo
from jitwasm.backend.processor import cpu_flags
from jitwasm.backend.refusals import refuse, refuse_arity, refuse_results
from jitwasm.backend.sampling import Sampler
from jitwasm.backend.signatures import far_slots, limited_signature, signature_of
from jitwasm.backend.traps import TrapTable, find_frames
from jitwasm.types import FuncType, RefType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CodeImage",
    "FrameInfo",
    "HostFunction",
    "HostFunctions",
    "HostTypes",
    "NativeRuntime",
    "nanoseconds_of",
    "native",
]

_JUMP = struct.Struct("<Bi")
_MINSIGSTKSZ = 249  # sysconf's number of _SC_MINSIGSTKSZ, for which Python has no name
_HANDLER_STACK = 64 * 1024


class _WasmFunction(ctypes.Structure):
    """The self of an exported function's builtin: a FuncRef, in place."""

    _fields_ = (("_funcref", ctypes.c_uint8 * FUNCREF.size),)
    name: str
    type: FuncType
    release_gil: bool
    owner: object

    @property
    def arity(self) -> int:
        return len(self.type.params)


class _NumberedFunction(int):
    """The same for interpreters whose object layout is unknown: the FuncRef's address."""

    name: str
    type: FuncType
    release_gil: bool
    owner: object
    arity = _WasmFunction.arity


# Shows in the builtin's repr.
_WasmFunction.__name__ = _NumberedFunction.__name__ = "WasmFunction"


class NativeRuntime:
    """The process's native runtime. Use `native()`.

    Attributes:
        replaced: the methods written in Python that native ones stand before, by name.
    """

    def __init__(self) -> None:
        self._space = CodeSpace()
        self._adapters = Adapters(self._space, libc.thread_slot(self._make_key()))
        self._keep: list[object] = []
        self.replaced: dict[str, Any] = {}
        self._definitions = cpython.Definitions()
        self._hooks = Hooks()
        self._host_calls = HostCalls(self._hooks)
        self._set_up()

    # -- setting up -----------------------------------------------------------------------------

    def _make_key(self) -> int:
        """The key under which threads find their ThreadState."""
        key = ctypes.c_uint32()
        destructor = ctypes.c_void_p(self._space.symbol("jw_thread_exit"))
        if ctypes.CDLL(None).pthread_key_create(ctypes.byref(key), destructor) != 0:
            raise OSError("the process has no thread-specific key left")
        ctypes.c_uint32.from_address(self._space.symbol("jw_key")).value = key.value
        return key.value

    def _set_up(self) -> None:
        self._set("jw_code_lo", self._space.low)
        self._set("jw_code_hi", self._space.high)
        self._set("jw_altstack_size", _altstack_size())
        self._set("jw_main_tid", threading.main_thread().native_id or 0)
        self._set("jw_wrapped", int(cpython.layout().wrapped))
        self._set("jw_has_xsave", int("xsave" in cpu_flags()))
        callback = ctypes.cast(self._host_calls.callback, ctypes.c_void_p)
        self._set("jw_host_callback", callback.value or 0)
        traps = TrapTable()
        attribute = sys.intern("_origin")
        self._keep += [traps, attribute]
        self._set("jw_trap_table", traps.address)
        self._set("jw_trap_new", traps.new)
        self._set("jw_trap_attribute", id(attribute))
        for name, hook in (
            ("maps", self._space.maps),
            ("find_frames", find_frames),
            ("arity", refuse_arity),
            ("refuse", refuse),
            ("results", refuse_results),
            ("probe", self._host_calls.probe),
            ("hot", self._hot_function),
            ("hot_host", self._hot_host_function),
            ("to_ref", self._hooks.to_ref),
            ("from_ref", self._hooks.from_ref),
        ):
            self._set_hook(name, hook)
        # Native code holds the addresses of all this, beyond the interpreter's end.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
        self.check_handlers()
        # By getattr: the name would be mangled here. It is what pthread_atfork calls.
        getattr(ctypes.CDLL(None), "__register_atfork")(
            None, None, ctypes.c_void_p(self._space.symbol("jw_fork_child")), None
        )
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._adapters.after_fork()

    def _set(self, variable: str, value: int) -> None:
        """Set a variable of the runtime."""
        ctypes.c_uint64.from_address(self._space.symbol(variable)).value = value

    def _set_hook(self, name: str, hook: object) -> None:
        self._keep.append(hook)
        self._set(f"jw_hook_{name}", id(hook))

    def _function(self, symbol: str, result: Any, *parameters: Any) -> Callable[..., Any]:
        """A function of the runtime, to be called with the GIL; it may raise."""
        return ctypes.PYFUNCTYPE(result, *parameters)(self._space.symbol(symbol))

    def _builtin(self, symbol: str) -> Callable[..., Any]:
        """The same as a builtin, which takes a tenth of the time: its code takes what builtins
        take, and relies on getting the arguments it wants."""
        name = symbol.removeprefix("jw_")
        definition = cpython.MethodDefinition(name, self._space.symbol(symbol), "")
        self._keep.append(definition)
        function: Callable[..., Any] = cpython.new_function(definition, None, "jitwasm")
        return function

    @functools.cached_property
    def check_handlers(self) -> Callable[[], None]:
        """Put our signal handlers on top of others that were installed since."""
        return self._function("jw_check_handlers", None)

    # -- loading --------------------------------------------------------------------------------

    def load(self, objects: Sequence[bytes], describe: Describe = lambda symbol: None) -> CodeImage:
        """Load objects of wasm code; the image lives as long as the result does.

        Args:
            objects: as `compile_unit` makes them.
            describe: what a symbol stands for in a backtrace, or None.
        """
        self.check_handlers()
        return self._space.load_wasm(objects, describe)

    def load_code(
        self,
        code: bytes | bytearray,
        find_symbols: Callable[[], dict[str, int]],
        describe: Describe = lambda symbol: None,
    ) -> CodeImage:
        """Load code of the baseline tier, which runs wherever it lies.

        Args:
            code: functions, one behind the other.
            find_symbols: gives their symbols, as offsets into `code`, if they are asked for.
            describe: what a symbol stands for in a backtrace, or None.
        """
        self.check_handlers()
        return self._space.load_code(code, find_symbols, describe)

    def redirect(self, address: int, target: int) -> None:
        """Let the instruction of five bytes at `address`, in wasm code, be a jump to `target`, also
        for threads that are running there."""
        self._space.patch(address, _JUMP.pack(0xE9, target - address - _JUMP.size))

    def provide_helpers(self) -> None:
        """Let baseline code find the libcalls. To be called before such code runs."""
        fill_helpers(self._space.symbol)

    # -- calling wasm code ----------------------------------------------------------------------

    def function(
        self,
        type: FuncType,
        funcref: int,
        name: str,
        doc: str,
        owner: object,
        release_gil: bool = False,
        call_seconds: float | None = None,
        stack_bytes: int | None = None,
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
            call_seconds, stack_bytes: what one call may take, where it is not part of another
                that has less left; None for no limit.
        """
        limited = None
        if call_seconds is None and stack_bytes is None:
            signature = signature_of(type, release_gil)
            thunk = self._adapters.code("thunk", type, release_gil)
        else:
            nanoseconds = 0 if call_seconds is None else nanoseconds_of(call_seconds)
            limited = limited_signature(type, release_gil, nanoseconds, stack_bytes or 0)
            signature, thunk = limited.address, self._space.symbol("jw_limited_entry")
        ctypes.c_uint64.from_address(funcref + FUNCREF.offset["signature"]).value = signature
        if cpython.layout().wrapped:
            bound: Any = _WasmFunction.from_address(funcref)
        else:
            bound = _NumberedFunction(funcref)
        bound.name, bound.type, bound.owner = name, type, owner
        bound.release_gil = release_gil
        definition = cpython.MethodDefinition(name, thunk, doc)
        function: Callable[..., Any] = cpython.new_function(definition, bound, "jitwasm")
        self._adapters.attach(type, release_gil, limited or definition)
        self._definitions.add(function, definition)
        return function

    def _hot_function(self, bound: _WasmFunction) -> None:
        self._adapters.report("thunk", bound.type, bound.release_gil)

    def _hot_host_function(self, env: int) -> None:
        self._adapters.report("trampoline", host_function_at(env).type, False)

    @functools.cached_property
    def sampler(self) -> Sampler:
        """Tells where wasm code spends its time."""
        return Sampler(self._space.symbol)

    def parking(self, code: range) -> tuple[Callable[[int], int], Callable[[], int]]:
        """How to stop a thread (kernel id) in this code for good, and the thread stopped last."""
        self.check_handlers()
        self._set("jw_park_lo", code.start)
        self._set("jw_park_hi", code.stop)
        parked = ctypes.c_uint64.from_address(self._space.symbol("jw_parked"))
        park = self._function("jw_park", ctypes.c_int32, ctypes.c_int64)
        return park, lambda: parked.value

    def settle(self) -> None:
        """Wait until adapters that are being made in the background are in use."""
        self._adapters.settle()

    # -- calling out of wasm code ---------------------------------------------------------------

    def host_function(
        self,
        type: FuncType,
        target: Callable[..., Any],
        store_state: int,
        overflow: int,
        host_calls: str = "fast",
    ) -> HostFunction:
        """Make one Python callable callable from wasm code: see `host_functions`."""
        types = HostTypes([type])
        return self.host_functions(types, [target], store_state, overflow, host_calls)[0]

    def host_functions(
        self,
        types: HostTypes,
        targets: list[Callable[..., Any] | None],
        store_state: int,
        overflow: int,
        host_calls: str = "fast",
        slots: int = 0,
    ) -> HostFunctions:
        """Make Python callables callable from wasm code.

        Args:
            types: their function types.
            targets: the callables; their results are converted as arguments of an export are.
                None where there is none: that one must not be called.
            store_state, overflow: of the store they belong to.
            host_calls: "fast" or "ctypes" (`Config.host_calls`).
            slots: where code and environment of each are to be stored, too.
        """
        jump = self._space.symbol("jw_host_jump")
        functions = HostFunctions(types, targets, jump)
        self._fill_hosts(
            functions.address, targets, store_state, overflow, id(functions), jump, slots
        )
        if host_calls == "fast":
            self._adapters.attach_imports(functions)
        else:
            functions.switch_all(array("Q", [self._space.symbol("jw_host_ctypes")]) * len(targets))
        return functions

    @functools.cached_property
    def _fill_hosts(self) -> Callable[[int, list[Any], int, int, int, int, int], None]:
        return self._builtin("jw_fill_hosts")

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
        slots, integer = far_slots(type)
        code = self._space.symbol("jw_c_call_far" if slots else "jw_c_call")
        fields = {
            "overflow": overflow,
            "store": store_state,
            "target": address,
            "scratch": slots,
            "calls": integer,
        }
        return HostFunction.of_c(type, keep, code, fields)

    def set_hooks(
        self,
        *,
        to_ref: Callable[[object, RefType, int], int] | None = None,
        from_ref: Callable[[int, RefType], object] | None = None,
        idle: Callable[[Any], None] | None = None,
    ) -> None:
        """Say how references travel.

        Args:
            to_ref: (object, reference type, address of an environment) -> word.
            from_ref: (word, reference type) -> object; not called for null, which is None.
            idle: called with `StoreState.object` when a call with references has left a store
                whose `due` is set, and nobody is inside; the GIL is held.
        """
        if to_ref is not None:
            self._hooks.to_ref = to_ref
            self._set_hook("to_ref", to_ref)
        if from_ref is not None:
            self._hooks.from_ref = from_ref
            self._set_hook("from_ref", from_ref)
        if idle is not None:
            self._set_hook("idle", idle)

    # -- stores, memories, deadlines ------------------------------------------------------------

    @functools.cached_property
    def enter_store(self) -> Callable[[int], None]:
        """Enter the store of an environment, given by its address, as a call would.

        Waits, without the GIL, while another thread is inside. Raises RuntimeError where that
        would never end, and what a signal handler raises meanwhile.
        """
        return self._builtin("jw_python_enters")

    @functools.cached_property
    def leave_store(self) -> Callable[[int], None]:
        """Leave what `enter_store` entered."""
        return self._builtin("jw_python_leaves")

    @functools.cached_property
    def memory_grow(self) -> Callable[[int, int], int]:
        """(address of a MemoryRecord, pages) -> the old size in pages, or -1."""
        return self._function("jw_memory_grow", ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint64)

    def speed_up(self, cls: type, record_slot: str, view_slot: str) -> None:
        """Put native methods before those of a memory's class that programs call most.

        They do the ordinary case; the methods written in Python do the rest. Where objects lie
        otherwise in memory than known, nothing is done.

        Args:
            cls: with `read`, `write`, `__getitem__` and `__setitem__` as of `Memory`.
            record_slot, view_slot: its slots with the address of the MemoryRecord and with a
                memoryview of all bytes, or None.
        """
        probe: object = object.__new__(cls)
        record, view = (cpython.slot_offset(probe, name) for name in (record_slot, view_slot))
        if record is None or view is None or not cpython.layout().slices:
            return
        self._set("jw_record_slot", record)
        self._set("jw_view_slot", view)
        keywords = cpython.METH_FASTCALL | cpython.METH_KEYWORDS
        for name, short, flags, parameters in (
            ("read", "read", keywords, "address, size"),
            ("write", "write", keywords, "address, data"),
            ("__getitem__", "get", cpython.METH_O, "key, /"),
            ("__setitem__", "set", cpython.METH_FASTCALL, "key, value, /"),
        ):
            method = cls.__dict__[name]
            self._set_hook(f"memory_{short}", method)
            self.replaced[name] = method
            doc = f"{name}($self, {parameters})\n--\n\n{method.__doc__ or ''}"
            code = self._space.symbol(f"jw_memory_{short}")
            definition = cpython.MethodDefinition(name, code, doc, flags)
            self._keep.append(definition)
            setattr(cls, name, cpython.new_method(cls, definition))

    @functools.cached_property
    def table_grow(self) -> Callable[[int, int, int], int]:
        """(address of a TableRecord, elements, reference) -> the old size, or -1."""
        return self._function(
            "jw_table_grow", ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p
        )

    @functools.cached_property
    def relocate(self) -> Callable[[int, int, int, int], None]:
        """(words, places, count, base): add `base` to the words at `count` places (u32)."""
        return self._builtin("jw_relocate_words")

    @functools.cached_property
    def copy_segments(self) -> Callable[[int, int, int, int, int], None]:
        """(memory, rows, count, runs, run count): copy bytes, by rows of (offset, address, size).

        A run is (offset, size) of pages that will all be written to. Everything is u64.
        """
        return self._builtin("jw_place_segments")

    @functools.cached_property
    def copy(self) -> Callable[[int, int, int], None]:
        """(to, from, size): copy bytes."""
        return self._builtin("jw_copy_bytes")

    @functools.cached_property
    def reserve(self) -> Callable[[int, int, int], tuple[object, int] | int]:
        """(bytes, bytes accessible at first, image): a range of address space (reservations.ll).

        Gives what owns it, and its address, 1 more if the image is mapped there; or an error
        number. Sizes are of whole pages. The image is a number, 0 for none.
        """
        return self._builtin("jw_reserve")

    @functools.cached_property
    def set_image(self) -> Callable[[object, int], None]:
        """(owner of a range, image): what is mapped there; -1: never use the range again."""
        return self._builtin("jw_set_image")

    @functools.cached_property
    def drop_image(self) -> Callable[[int], None]:
        """(image): nobody will reserve a range for it again."""
        return self._builtin("jw_drop_image")

    @functools.cached_property
    def set_deadline(self) -> Callable[[int], int]:
        """Set this thread's deadline: CLOCK_MONOTONIC nanoseconds, 0 for none; returns the old one.

        Wasm code that runs later than that traps with `TrapCode.DEADLINE`.
        """
        return self._function("jw_set_deadline", ctypes.c_int64, ctypes.c_int64)


def nanoseconds_of(seconds: float) -> int:
    """At least 1, and at most some thirty years, which added to a time is still a time."""
    return max(round(min(seconds, 1e9) * 1e9), 1)


def _altstack_size() -> int:
    """Bytes of a signal stack: what the kernel saves there depends on the processor."""
    try:
        minimum = os.sysconf(_MINSIGSTKSZ)
    except (OSError, ValueError):
        minimum = 0
    return -(-(max(minimum, 16 * 1024) + _HANDLER_STACK) // libc.PAGE_SIZE) * libc.PAGE_SIZE


# The one runtime of the process. `functools.cache` alone would let two threads make one each.
_made: list[NativeRuntime] = []
_making = threading.Lock()


def native() -> NativeRuntime:
    """The process's native runtime, made at first use.

    Raises:
        RuntimeError: the interpreter runs without a GIL, on which stores and ticks rely.
    """
    if not _made:
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise RuntimeError("jitwasm needs the GIL: set PYTHON_GIL=1 for free-threaded Python")
        with _making:
            if not _made:
                _made.append(NativeRuntime())
    return _made[0]
