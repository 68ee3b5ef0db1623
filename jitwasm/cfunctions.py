"""C functions as imports: ctypes function pointers and what carries one (numba's `cfunc`).

A function whose declared C types are those of the wasm signature is called directly, without
Python in between. Where ctypes itself has work to do (narrow integers, `errcheck`, errno, Python's
own API), the pointer is called like any Python callable.
"""

from __future__ import annotations

import ctypes

from jitwasm.records import record
from jitwasm.types import EXTERNREF, F32, F64, I32, I64, FuncType, ValType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CFunction", "as_c_function"]

# Codes of ctypes' simple types (`_type_`) that carry a wasm type's bits as they are, by size.
_DIRECT: dict[ValType, tuple[str, int]] = {
    I32: ("iIlL", 4),
    I64: ("lLqQP", 8),
    F32: ("f", 4),
    F64: ("d", 8),
}
# And those that ctypes converts to and from.
_CONVERTED: dict[ValType, str] = {I32: "bBhH?", EXTERNREF: "O"}
_FunctionPointer: Any = ctypes.CFUNCTYPE(None).__base__
_PLAIN_FLAGS = 1  # FUNCFLAG_CDECL alone: no errno, no GIL


@record(frozen=True)
class CFunction:
    """A ctypes function pointer.

    Attributes:
        pointer: the ctypes object; whoever holds the address keeps it.
        address: of the code; 0 fits no type.
    """

    pointer: Any
    address: int

    def fits(self, wanted: FuncType) -> bool:
        """Whether its declared types carry the values of the wasm type.

        Without `argtypes` the arguments are taken to be what wasm passes, as C did before
        prototypes; the result type is always declared (ctypes presumes `c_int`).
        """
        argtypes, restype = self.pointer.argtypes, self.pointer.restype
        if not self.address:
            return False
        if argtypes is not None:
            if len(argtypes) != len(wanted.params):
                return False
            if not all(map(_carries, argtypes, wanted.params)):
                return False
        if not wanted.results:
            return True
        return len(wanted.results) == 1 and _carries(restype, wanted.results[0])

    def is_direct(self, wanted: FuncType) -> bool:
        """Whether a fitting function may be called without ctypes."""
        pointer = self.pointer
        if not all(value in _DIRECT for value in wanted.params):
            return False
        declared = pointer.argtypes is not None
        types = list(zip(pointer.argtypes, wanted.params, strict=True)) if declared else []
        types += [(pointer.restype, value) for value in wanted.results]
        return (
            type(pointer)._flags_ == _PLAIN_FLAGS
            and getattr(pointer, "errcheck", None) is None
            and all(_is_direct(c_type, value) for c_type, value in types)
        )

    def __str__(self) -> str:
        if not self.address:
            return "a null C function pointer"
        argtypes, restype = self.pointer.argtypes, self.pointer.restype
        params = "?" if argtypes is None else ", ".join(map(_c_name, argtypes))
        return f"C function ({params}) -> {_c_name(restype)}"


def as_c_function(value: object) -> CFunction | None:
    """The C function of a ctypes pointer or of an object whose `ctypes` is one; else None."""
    if not isinstance(value, _FunctionPointer):
        value = getattr(value, "ctypes", None)
        if not isinstance(value, _FunctionPointer):
            return None
    return CFunction(value, ctypes.cast(value, ctypes.c_void_p).value or 0)


def _code(c_type: Any) -> str:
    code = getattr(c_type, "_type_", "")
    return code if isinstance(code, str) else ""


def _is_direct(c_type: Any, value: ValType) -> bool:
    codes, size = _DIRECT.get(value, ("", 0))
    code = _code(c_type)
    return code != "" and code in codes and ctypes.sizeof(c_type) == size


def _carries(c_type: Any, value: ValType) -> bool:
    code = _code(c_type)
    return _is_direct(c_type, value) or (code != "" and code in _CONVERTED.get(value, ""))


def _c_name(c_type: Any) -> str:
    return "void" if c_type is None else getattr(c_type, "__name__", "?")
