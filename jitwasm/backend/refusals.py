"""The errors for values that do not fit, of the interpreter's own kinds, naming the function.

Emitted code calls these hooks when a conversion failed; they return the exception, so that no
frame of ours shows in its traceback. A builtin's self stands for its function in a context.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

__all__ = ["Named", "refuse", "refuse_arity", "refuse_results"]

_WANTED = {
    "i32": "an int",
    "i64": "an int",
    "f32": "a number",
    "f64": "a number",
    "v128": "bytes of length 16",
}


class Named(Protocol):
    """The self of an exported function's builtin."""

    name: str
    arity: int


def _name(target: object) -> str:
    name = getattr(target, "__qualname__", None) or getattr(target, "__name__", None)
    return name if isinstance(name, str) else type(target).__qualname__


def refuse(context: object, index: int, value: object, type_: str) -> Exception:
    """The error for an argument (index >= 0) or a result -1 - index of a host function."""
    if index >= 0:
        what = f"{getattr(context, 'name', '?')}() argument {index + 1}"
    else:
        what = f"result {-index} of {_name(context)}()"
    if type_ == "v128" and isinstance(value, (bytes, bytearray, memoryview)):
        return ValueError(f"{what} must be {_WANTED[type_]}, not {memoryview(value).nbytes}")
    integral, real = type_ in ("i32", "i64"), type_ in ("f32", "f64")
    if (integral and hasattr(type(value), "__index__")) or (real and isinstance(value, int)):
        return OverflowError(f"{what} does not fit in {type_}")
    return TypeError(f"{what} must be {_WANTED[type_]} ({type_}), not {type(value).__name__}")


def refuse_arity(function: Named, given: int) -> Exception:
    """The error for a wrong number of arguments, worded as for a Python function."""
    plural = "argument" if function.arity == 1 else "arguments"
    was = "was" if given == 1 else "were"
    return TypeError(
        f"{function.name}() takes {function.arity} positional {plural} but {given} {was} given"
    )


def refuse_results(target: object, outcome: object, count: int) -> Exception:
    """The error for an outcome that is not as many values as the function type has results."""
    if hasattr(type(outcome), "__len__"):
        found = f"{len(outcome)}"  # type: ignore[arg-type]
        return TypeError(f"{_name(target)}() must return {count} values, not {found}")
    return TypeError(f"{_name(target)}() must return {count} values, not {type(outcome).__name__}")
