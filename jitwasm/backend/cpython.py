"""What emitted code knows of CPython: its C API, and the layout of ints and floats.

Emitted code reads small ints and floats inline; whether objects lie in memory as it thinks is
tested on real objects at start. Where the test fails (another build, a future version) the code
is emitted with calls of the public API only, some nanoseconds slower.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
import sysconfig
import weakref
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ALIASES",
    "COMPACT_INT",
    "INCREF_NONE",
    "METH_FASTCALL",
    "METH_KEYWORDS",
    "METH_O",
    "Definitions",
    "Layout",
    "MethodDefinition",
    "layout",
    "new_function",
    "new_method",
    "new_of",
    "slot_offset",
]

ALIASES = {} if sys.version_info >= (3, 11) else {"PyObject_Vectorcall": "PyObject_VectorcallDict"}
"""What to use for a function that is not exported: 3.10 has only the one that takes keywords as a
dictionary, which differs in nothing where there are none."""

_NEW_INTS = sys.version_info >= (3, 12)
_IMMORTAL_NONE = sys.version_info >= (3, 12)


class Layout:
    """What the self-test found.

    Attributes:
        ints: compact ints may be read inline (see `compact_int`).
        floats: floats may be read inline: the value at offset 16.
        wrapped: a ctypes structure's memory may be found inline: its address at offset 16.
        slices: so may the parts of a slice, and the type of any object.
    """

    def __init__(self) -> None:
        plain = object.__basicsize__ == 16 and not sysconfig.get_config_var("Py_GIL_DISABLED")
        self.ints = plain and sys.int_info.bits_per_digit == 30 and _test_ints()
        self.floats = plain and _test_floats()
        self.wrapped = plain and _test_wrapped()
        self.slices = plain and _test_slices()


@functools.cache
def layout() -> Layout:
    """The result of the self-test."""
    return Layout()


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _test_ints() -> bool:
    for value in (0, 1, -1, 5, -5, 300, -300, 2**30 - 1, 1 - 2**30, 2**30, -(2**30), 2**61):
        number = int(str(value))
        if _word(id(number) + 8) != id(int):
            return False
        digit = ctypes.c_uint32.from_address(id(number) + 24).value
        size = ctypes.c_int64.from_address(id(number) + 16).value
        if _NEW_INTS:
            compact, sign = 0 <= size < 16, 1 - (size & 3)
        else:
            compact, sign = -1 <= size <= 1, size
        if compact != (abs(value) < 2**30) or (compact and sign * digit != value):
            return False
    return True


def _test_floats() -> bool:
    return all(
        _word(id(number) + 8) == id(float)
        and ctypes.c_double.from_address(id(number) + 16).value == number
        for number in (float("1.5e300"), float("-0.25"))
    )


class _Probe(ctypes.Structure):
    _fields_ = (("word", ctypes.c_uint64),)


def _test_wrapped() -> bool:
    own, memory = _Probe(), ctypes.c_uint64()
    other = _Probe.from_address(ctypes.addressof(memory))
    return all(_word(id(probe) + 16) == ctypes.addressof(probe) for probe in (own, other))


def _test_slices() -> bool:
    parts = ("start", "stop", "step")
    part = slice(*parts)
    found = [_word(id(part) + 8)] + [_word(id(part) + 16 + 8 * i) for i in range(3)]
    return found == [id(slice), *map(id, parts)]


def slot_offset(instance: object, name: str) -> int | None:
    """Where an object of a class with `__slots__` keeps an attribute, which is set to find out."""
    sentinel = object()
    setattr(instance, name, sentinel)
    size = type(instance).__basicsize__
    places = [at for at in range(16, size, 8) if _word(id(instance) + at) == id(sentinel)]
    delattr(instance, name)
    return places[0] if len(places) == 1 and _word(id(instance) + places[0]) == 0 else None


COMPACT_INT = (
    """\
  %{n}.tag = load i64, ptr %{n}.size
  %{n}.compact = icmp ult i64 %{n}.tag, 16
  br i1 %{n}.compact, label %{n}.read, label %{n}.slow, !prof !0
{n}.read:
  %{n}.digits = getelementptr i8, ptr {obj}, i64 24
  %{n}.digit32 = load i32, ptr %{n}.digits
  %{n}.digit = zext i32 %{n}.digit32 to i64
  %{n}.bits = and i64 %{n}.tag, 3
  %{n}.sign = sub i64 1, %{n}.bits
  %{n}.value = mul i64 %{n}.sign, %{n}.digit
"""
    if _NEW_INTS
    else """\
  %{n}.tag = load i64, ptr %{n}.size
  %{n}.plus = add i64 %{n}.tag, 1
  %{n}.compact = icmp ult i64 %{n}.plus, 3
  br i1 %{n}.compact, label %{n}.read, label %{n}.slow, !prof !0
{n}.read:
  %{n}.digits = getelementptr i8, ptr {obj}, i64 24
  %{n}.digit32 = load i32, ptr %{n}.digits
  %{n}.digit = zext i32 %{n}.digit32 to i64
  %{n}.value = mul i64 %{n}.tag, %{n}.digit
"""
)
"""Read an exact int of one digit: `%{n}.value` in block `{n}.read`; otherwise go to `{n}.slow`."""

INCREF_NONE = (
    ""
    if _IMMORTAL_NONE
    else """\
  %none.count = load i64, ptr @_Py_NoneStruct
  %none.more = add i64 %none.count, 1
  store i64 %none.more, ptr @_Py_NoneStruct
"""
)
"""Own one more reference to None."""


METH_O, METH_FASTCALL, METH_KEYWORDS = 0x8, 0x80, 0x2


class MethodDefinition(ctypes.Structure):
    """A PyMethodDef. It must outlive every function made from it."""

    _fields_ = (
        ("_name", ctypes.c_char_p),
        ("_function", ctypes.c_void_p),
        ("_flags", ctypes.c_int),
        ("_doc", ctypes.c_char_p),
    )

    def __init__(self, name: str, function: int, doc: str, flags: int = METH_FASTCALL) -> None:
        # A NUL would end the string for CPython; a lone surrogate it could not read.
        texts = (text.partition("\0")[0].encode("utf-8", "replace") for text in (name, doc))
        super().__init__(next(texts), function, flags, next(texts))

    __hash__ = object.__hash__  # by identity; ctypes has none

    def switch(self, code: int) -> None:
        """Call other code from now on; CPython reads the pointer at each call."""
        self._function = code


class Definitions:
    """Keeps the definition of each function as long as CPython reads it.

    That is until the very end of the function's life, after weak references to it have been
    cleared; so definitions of functions that have gone are dropped some time later. There are no
    callbacks: one that failed, deep in a recursion, would lose its definition. Nor is there a lock:
    threads, signal handlers and finalizers may be in here at once, so all is done by single
    operations of deques.
    """

    def __init__(self) -> None:
        self._live: deque[tuple[weakref.ref[Any], MethodDefinition]] = deque()
        self._retired: deque[MethodDefinition] = deque()
        self._sweep_at = 256

    def __len__(self) -> int:
        return len(self._live)

    def add(self, function: object, definition: MethodDefinition) -> None:
        """Keep a definition for a function made from it."""
        self._live.append((weakref.ref(function), definition))
        if len(self._live) >= self._sweep_at:
            self.sweep()

    def sweep(self) -> None:
        """Drop the definitions of functions that had gone by the sweep before."""
        with contextlib.suppress(IndexError):  # somebody else is sweeping, too
            for _ in range(len(self._retired)):
                self._retired.popleft()
            for _ in range(len(self._live)):
                row = self._live.popleft()
                if row[0]() is None:
                    self._retired.append(row[1])
                else:
                    self._live.append(row)
        self._sweep_at = max(256, 2 * len(self._live))


@functools.cache
def _new_function() -> Any:
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object
    )
    return prototype(("PyCFunction_NewEx", ctypes.pythonapi))


def new_function(definition: MethodDefinition, bound: object, module: str) -> Any:
    """PyCFunction_NewEx: a builtin that passes `bound` as its self."""
    return _new_function()(ctypes.addressof(definition), bound, module)


def new_method(type_: type, definition: MethodDefinition) -> Any:
    """PyDescr_NewMethod: a method of a class. The definition must be kept for ever."""
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_void_p)
    make = prototype(("PyDescr_NewMethod", ctypes.pythonapi))
    return make(type_, ctypes.addressof(definition))


_TP_NEW = 65  # Py_tp_new of the stable ABI


def new_of(type_: type) -> int:
    """The address of a type's `tp_new`."""
    get_slot = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_int)(
        ("PyType_GetSlot", ctypes.pythonapi)
    )
    address: int = get_slot(type_, _TP_NEW)
    return address
