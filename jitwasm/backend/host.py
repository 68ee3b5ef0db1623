"""Host functions: Python callables and C functions that wasm code can call.

Each has a HostEnv, which lives as long as the `HostFunction`. Its code is one indirect jump through
`HostEnv.scratch`, so that what is behind it can change: a Python function begins with the base here,
for which nothing needs to be compiled, and is switched to the fast path when that is ready (or, by
`Config.host_calls`, stays with the base and is called through ctypes).
"""

from __future__ import annotations

import ctypes
import operator
import struct
import weakref
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NoReturn

from jitwasm.abi import ENV, HOST_ENV, OVERFLOW_SLOT, Loc, call_conv
from jitwasm.backend.refusals import refuse, refuse_results
from jitwasm.backend.runtime.assemble import HOST_FRAME, RAISED, RETURNED
from jitwasm.types import F32, F64, I32, I64, V128, FuncType, RefType, ValType

__all__ = ["HostCalls", "HostFunction", "Hooks"]

HOT = 64
"""After so many calls the fast path of a host function is compiled."""


class HostFunction:
    """One host function; wasm code may call it as long as this object lives.

    Attributes:
        type: its function type.
        target: the callable, or what keeps a C function valid.
        code: address of its code, for a FuncRef or an import slot.
        env: address of its environment.
        calls: how often the base called it.
    """

    def __init__(
        self, type_: FuncType, target: object, word: int, code: int, state: int, overflow: int
    ) -> None:
        self.type = type_
        self.target = target
        self.code = code
        self.calls = 0
        self._env = HOST_ENV.ctype(overflow, state, word, 0)
        self.env = ctypes.addressof(self._env)
        conv = call_conv(type_)
        self.params = _places(conv.params)
        self.results = _places(conv.results)

    def switch(self, code: int) -> None:
        """Let its code lead to this address from now on."""
        ctypes.c_uint64.from_address(self.env + HOST_ENV.offset["scratch"]).value = code


def _places(locs: Sequence[Loc]) -> list[tuple[ValType, bool, int]]:
    """For each value: its type, whether it is in the overflow area, and the offset there or in
    the frame that `jw_host_base` makes."""
    used = {False: 0, True: 0}
    places = []
    for loc in locs:
        if loc.slot is not None:
            places.append((loc.type, True, OVERFLOW_SLOT * loc.slot))
            continue
        number = used[loc.type.is_float]
        used[loc.type.is_float] += 1
        start, step = ("floats", 16) if loc.type.is_float else ("ints", 8)
        places.append((loc.type, False, HOST_FRAME[start] + step * number))
    return places


class Hooks:
    """How references travel: supplied by the runtime objects."""

    def __init__(self) -> None:
        self.to_ref: Callable[[object, RefType, int], int] = _no_references
        self.from_ref: Callable[[int, RefType], object] = _no_references


def _no_references(*arguments: object) -> NoReturn:
    raise TypeError("no hooks for references are set")


class _RefusedError(Exception):
    """Carries an error that is to be raised without a traceback of ours."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class HostCalls:
    """The base of calls to Python functions: one function serves them all.

    Attributes:
        callback: the ctypes function pointer to `dispatch`.
    """

    def __init__(self, hooks: Hooks, heat: Callable[[FuncType], None]) -> None:
        """`heat` is told of function types that are called often."""
        self._hooks = hooks
        self._heat = heat
        self._functions: weakref.WeakValueDictionary[int, HostFunction] = (
            weakref.WeakValueDictionary()
        )
        self._tiering: weakref.WeakSet[HostFunction] = weakref.WeakSet()
        self.callback = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(self.dispatch)

    def add(self, function: HostFunction, tier_up: bool) -> None:
        """Serve a function until it gets its fast path, which it does if `tier_up`."""
        self._functions[function.env] = function
        if tier_up:
            self._tiering.add(function)

    def probe(self, depth: int = 3) -> None:
        """Raises RecursionError if there are not as many levels left as `dispatch` needs."""
        if depth:
            self.probe(depth - 1)

    def dispatch(self, frame: int) -> None:
        """Call a host function; `frame` is what `jw_host_base` made of the registers."""
        # Nothing before the `try`: ctypes swallows what is raised there.
        try:
            self._call(frame)
        except _RefusedError as refused:
            _park(frame, refused.error, None)
        except BaseException as error:
            traceback = error.__traceback__
            while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
                traceback = traceback.tb_next
            _park(frame, error, traceback)

    def _call(self, frame: int) -> None:
        env = _word(frame + HOST_FRAME["env"])
        function = self._functions[env]
        overflow = _word(env + ENV.offset["overflow"])
        arguments = [
            self._to_python((overflow if far else frame) + offset, type_)
            for type_, far, offset in function.params
        ]
        outcome = function.target(*arguments)  # type: ignore[operator]
        if len(function.results) == 1:
            outcomes: Sequence[object] = (outcome,)
        else:
            outcomes = _several(function, outcome) if function.results else ()
        words = [
            self._to_wasm(value, place[0], function, index)
            for index, (value, place) in enumerate(zip(outcomes, function.results, strict=True))
        ]
        for word, (_, far, offset) in zip(words, function.results, strict=True):
            ctypes.memmove((overflow if far else frame) + offset, word, len(word))
        function.calls += 1
        if function.calls % HOT == 0 and function in self._tiering:
            self._heat(function.type)
        ctypes.c_uint64.from_address(frame + HOST_FRAME["status"]).value = RETURNED

    def _to_python(self, address: int, type_: ValType) -> object:
        if type_ is F32:
            return _widen(ctypes.c_uint32.from_address(address).value)
        if type_ is V128:
            return ctypes.string_at(address, 16)
        if isinstance(type_, RefType):
            word = _word(address)
            return self._hooks.from_ref(word, type_) if word else None
        return _READERS[type_].from_address(address).value

    def _to_wasm(self, value: object, type_: ValType, function: HostFunction, index: int) -> bytes:
        """The value's bytes, as they lie in a register."""
        if isinstance(type_, RefType):
            return self._hooks.to_ref(value, type_, function.env).to_bytes(8, "little")
        try:
            if type_ is I32 or type_ is I64:
                number, size = operator.index(value), type_.size  # type: ignore[arg-type]
                if -(1 << 8 * size - 1) <= number < 1 << 8 * size:
                    return (number & (1 << 8 * size) - 1).to_bytes(8, "little")
                failed = True
            elif type_ is V128:
                data = bytes(memoryview(value))  # type: ignore[arg-type]
                if len(data) == 16:
                    return data
                failed = True
            else:
                bits = struct.pack("<d", _as_double()(value))
                return _narrow(bits) if type_ is F32 else bits
        except (TypeError, OverflowError):
            # One that `__index__` or `__float__` raised itself stays.
            attributes = ("__index__",) if type_ in (I32, I64) else ("__index__", "__float__")
            failed = isinstance(value, int) or not any(
                hasattr(type(value), name) for name in attributes
            )
            if not failed:
                raise
        assert failed
        raise _RefusedError(refuse(function.target, -1 - index, value, type_.name))


_READERS: dict[ValType, Any] = {I32: ctypes.c_int32, I64: ctypes.c_int64, F64: ctypes.c_double}


def _as_double() -> Any:
    """PyFloat_AsDouble: `float()` would take strings."""
    function = ctypes.pythonapi.PyFloat_AsDouble
    function.restype, function.argtypes = ctypes.c_double, [ctypes.py_object]
    return function


def _several(function: HostFunction, outcome: object) -> Sequence[object]:
    count = len(function.results)
    if type(outcome) is tuple:
        values: tuple[object, ...] = outcome
    else:
        try:
            iterator = iter(outcome)  # type: ignore[call-overload]
        except TypeError:
            raise _RefusedError(refuse_results(function.target, outcome, count)) from None
        values = tuple(iterator)
    if len(values) != count:
        raise _RefusedError(refuse_results(function.target, outcome, count))
    return values


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _widen(bits: int) -> float:
    """An f32 as a Python float; a NaN keeps its payload."""
    if bits & 0x7FFFFFFF > 0x7F800000:
        wide = (bits >> 31) << 63 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29
        return float(struct.unpack("<d", wide.to_bytes(8, "little"))[0])
    return float(struct.unpack("<f", bits.to_bytes(4, "little"))[0])


def _narrow(data: bytes) -> bytes:
    """An f64's bytes as those of an f32, rounded to nearest; a NaN keeps its payload."""
    bits = int.from_bytes(data, "little")
    if bits & (1 << 63) - 1 > 0x7FF << 52:
        payload = bits >> 29 & 0x7FFFFF or 0x400000
        return (bits >> 63 << 31 | 0xFF << 23 | payload).to_bytes(4, "little")
    return bytes(ctypes.c_float(struct.unpack("<d", data)[0]))


def _park(frame: int, error: BaseException, traceback: TracebackType | None) -> None:
    """Leave an exception, with a reference to it, for native code to raise."""
    error.__traceback__ = traceback
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(error))
    ctypes.c_uint64.from_address(frame + HOST_FRAME["error"]).value = id(error)
    ctypes.c_uint64.from_address(frame + HOST_FRAME["status"]).value = RAISED
