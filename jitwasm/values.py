"""Values between Python and WebAssembly outside calls: globals, table elements, segments.

Calls convert numbers in emitted code by the same rules: integers take int, bool and `__index__` in
[-2^(N-1), 2^N), floats also int and `__float__`, v128 is 16 bytes. References always go through
`ref_word` and `ref_object` here. A value in a cell is its bits as an unsigned integer.
"""

from __future__ import annotations

import ctypes
import operator
import struct

from jitwasm.externs import boxed_object, is_host_box
from jitwasm.func import anchor_of, function_at
from jitwasm.store import Store
from jitwasm.types import (
    ANYREF,
    EXNREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    DefType,
    FuncType,
    RefType,
    ValType,
    heap_matches,
    ref_type,
)

__all__ = [
    "from_bits",
    "from_ref",
    "integer",
    "is_function_heap",
    "is_reference",
    "number_bits",
    "parse_ref_type",
    "parse_val_type",
    "ref_object",
    "ref_word",
    "to_ref",
]

_I31_MIN, _I31_END = -(1 << 30), 1 << 30
_WORD = (1 << 64) - 1
_F32_INFINITY, _F32_QUIET, _F64_INFINITY = 0x7F800000, 0x400000, 0x7FF0000000000000

_NUMBERS = {str(t.name): t for t in (I32, I64, F32, F64, V128)}
_REFERENCES = {
    "anyfunc": FUNCREF,  # the JavaScript API's first name for it
    "funcref": FUNCREF,
    "externref": EXTERNREF,
    "anyref": ANYREF,
    "exnref": EXNREF,
    **{f"{heap}ref": ref_type(True, heap) for heap in ("eq", "i31", "struct", "array")},
    "nullref": ref_type(True, "none"),
    "nullfuncref": ref_type(True, "nofunc"),
    "nullexternref": ref_type(True, "noextern"),
}


def parse_val_type(type_: str | ValType) -> ValType:
    """A value type given by its name in the text format, or as itself."""
    if isinstance(type_, ValType):
        return type_
    if not isinstance(type_, str):
        raise TypeError(f"a value type is a str or ValType, not {type(type_).__name__}")
    found = _NUMBERS.get(type_) or _REFERENCES.get(type_)
    if found is None:
        raise ValueError(f"unknown value type {type_!r}")
    return found


def parse_ref_type(type_: str | ValType) -> RefType:
    """A reference type given by its name in the text format, or as itself."""
    found = parse_val_type(type_)
    if not isinstance(found, RefType):
        raise ValueError(f"{found} is not a reference type")
    return found


def integer(value: object, what: str) -> int:
    """The value of an int-like argument; floats and strings are a TypeError."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} must be an int, not {type(value).__name__}") from None


def number_bits(value: object, type_: ValType) -> int:
    """The bits of a number or vector.

    Raises:
        TypeError: the value is of the wrong kind.
        OverflowError: an integer is out of range.
    """
    if type_ is I32 or type_ is I64:
        return _integer_bits(value, type_)
    if type_ is V128:
        return _vector_bits(value)
    try:
        double = int.from_bytes(bytes(ctypes.c_double(value)), "little")  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{type_} must be a real number, not {type(value).__name__}") from None
    return double if type_ is F64 else _f32_bits(double)


# A NaN keeps its payload on the way between f32 and Python's float, which is more than C's
# conversions do: they make signalling ones quiet.


def _f32_bits(double: int) -> int:
    magnitude = double & (1 << 63) - 1
    if magnitude > _F64_INFINITY:
        payload = (magnitude & (1 << 52) - 1) >> 29
        return double >> 63 << 31 | _F32_INFINITY | (payload or _F32_QUIET)
    # ctypes rounds as C does, to infinity where struct.pack would raise.
    rounded = ctypes.c_float(struct.unpack("<d", double.to_bytes(8, "little"))[0])
    return int.from_bytes(bytes(rounded), "little")


def _f32_value(bits: int) -> float:
    magnitude = bits & (1 << 31) - 1
    if magnitude > _F32_INFINITY:
        double = bits >> 31 << 63 | _F64_INFINITY | (magnitude & (1 << 23) - 1) << 29
        value: float = struct.unpack("<d", double.to_bytes(8, "little"))[0]
    else:
        value = struct.unpack("<f", bits.to_bytes(4, "little"))[0]
    return value


def _integer_bits(value: object, type_: ValType) -> int:
    number = integer(value, str(type_))
    bits = 8 * type_.size
    if not -(1 << (bits - 1)) <= number < 1 << bits:
        raise OverflowError(f"{number} does not fit into {type_}")
    return number & (1 << bits) - 1


def _vector_bits(value: object) -> int:
    try:
        data = bytes(memoryview(value))  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"v128 must be 16 bytes, not {type(value).__name__}") from None
    if len(data) != 16:
        raise ValueError(f"v128 must be 16 bytes, not {len(data)}")
    return int.from_bytes(data, "little")


def from_bits(bits: int, type_: ValType) -> object:
    """The Python value of the bits in a cell."""
    if isinstance(type_, RefType):
        return ref_object(bits & _WORD, type_)
    data = (bits & (1 << 8 * type_.size) - 1).to_bytes(type_.size, "little")
    if type_ is V128:
        return data
    if type_ is F32:
        return _f32_value(bits & (1 << 32) - 1)
    if type_ is F64:
        value: float = struct.unpack("<d", data)[0]
        return value
    return int.from_bytes(data, "little", signed=True)


def is_reference(value: object, type_: RefType) -> bool:
    """Whether a Python object is a value of a reference type."""
    if value is None:
        return type_.nullable
    heap = type_.heap
    if is_function_heap(heap):
        anchor = anchor_of(value)
        return anchor is not None and heap_matches(anchor.type, heap)
    return heap in ("extern", "any") or (heap in ("eq", "i31") and _is_i31(value))


def ref_word(value: object, type_: RefType, store: Store) -> int:
    """The reference word of a Python object, valid as long as `store`.

    Raises:
        TypeError: the object is not of the type.
    """
    if not is_reference(value, type_):
        raise TypeError(_refusal(value, type_))
    if value is None:
        return 0
    if is_function_heap(type_.heap):
        anchor = anchor_of(value)
        assert anchor is not None
        # From here on wasm may keep the reference anywhere in its store.
        anchor.store.merge(store).members.add(anchor.context)
        return anchor.funcref
    if type_.heap != "extern" and _is_i31(value):
        return (operator.index(value) << 1 | 1) & 0xFFFFFFFF  # type: ignore[arg-type]
    return store.root().box(value)


def _refusal(value: object, type_: RefType) -> str:
    if value is None:
        return f"{type_} must not be None"
    if not is_function_heap(type_.heap):
        return f"{type_} cannot be made from {type(value).__name__}"
    anchor = anchor_of(value)
    if anchor is not None:
        return f"{type_} is wanted, the function is {anchor.type}"
    return f"{type_} must be an exported WebAssembly function or None, not {type(value).__name__}"


def is_function_heap(heap: object) -> bool:
    """Whether references to a heap type are funcrefs."""
    if isinstance(heap, DefType):
        return isinstance(heap.comp, FuncType)
    return heap == "func" or heap == "nofunc"


def _is_i31(value: object) -> bool:
    return type(value) is int and _I31_MIN <= value < _I31_END


def ref_object(word: int, type_: RefType) -> object:
    """The Python object of a reference word of the given type."""
    if word == 0:
        return None
    if is_function_heap(type_.heap):
        return function_at(word)
    if word & 1:
        value = word >> 1 & 0x7FFFFFFF
        return value - (1 << 31) if value >= _I31_END else value
    if is_host_box(word):
        return boxed_object(word)
    raise TypeError(f"a {type_} of the garbage-collected heap has no Python counterpart yet")


def to_ref(value: object, type_: RefType, env: int) -> int:
    """The hook of calls: `ref_word` for the store of the called environment."""
    return ref_word(value, type_, Store.of_environment(env))


def from_ref(word: int, type_: RefType) -> object:
    """The hook of calls: the object of a word."""
    return ref_object(word, type_)
