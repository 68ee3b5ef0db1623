"""The traps: one table of codes and messages.

The messages are those of the official test suite. Codes are part of the ABI (compiled code and
cached objects carry them): never renumber, only append.
"""

from __future__ import annotations

import enum

__all__ = ["TrapCode"]


class TrapCode(enum.IntEnum):
    """Why execution stopped. `TrapCode.X.message` is the text of the specification's suite."""

    message: str

    def __new__(cls, code: int, message: str = "") -> TrapCode:
        member = int.__new__(cls, code)
        member._value_ = code
        member.message = message
        return member

    UNREACHABLE = 1, "unreachable"
    INTEGER_DIVIDE_BY_ZERO = 2, "integer divide by zero"
    INTEGER_OVERFLOW = 3, "integer overflow"
    INVALID_CONVERSION = 4, "invalid conversion to integer"
    OUT_OF_BOUNDS_MEMORY = 5, "out of bounds memory access"
    OUT_OF_BOUNDS_TABLE = 6, "out of bounds table access"
    UNDEFINED_ELEMENT = 7, "undefined element"
    UNINITIALIZED_ELEMENT = 8, "uninitialized element"
    INDIRECT_CALL_TYPE_MISMATCH = 9, "indirect call type mismatch"
    STACK_OVERFLOW = 10, "call stack exhausted"
    NULL_FUNCTION_REFERENCE = 11, "null function reference"
    NULL_REFERENCE = 12, "null reference"
    NULL_STRUCTURE_REFERENCE = 13, "null structure reference"
    NULL_ARRAY_REFERENCE = 14, "null array reference"
    NULL_I31_REFERENCE = 15, "null i31 reference"
    OUT_OF_BOUNDS_ARRAY = 16, "out of bounds array access"
    CAST_FAILURE = 17, "cast failure"
    NULL_EXCEPTION_REFERENCE = 18, "null exception reference"
    UNALIGNED_ATOMIC = 19, "unaligned atomic"
    EXPECTED_SHARED_MEMORY = 20, "expected shared memory"
    DEADLINE = 21, "deadline exceeded"
    OUT_OF_FUEL = 22, "all fuel consumed"
