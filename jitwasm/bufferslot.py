"""The buffer protocol for a Python class before `__buffer__` (PEP 688, Python 3.12).

CPython gives every class made in Python room for `bf_getbuffer`; it only has no syntax to fill
it. This fills it with a callback that hands out a buffer of a memoryview the object makes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["install_buffer_slot"]

# PyTypeObject.tp_as_buffer: the same place in 3.10 and 3.11, the versions this is used on.
_TP_AS_BUFFER = 160
_PROTOTYPE = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_int)


def install_buffer_slot(cls: type, make_view: Callable[[Any], memoryview]) -> None:
    """Make instances of `cls` export the memory of `make_view(instance)`.

    Consumers hold the view's exporter, not the instance.
    """
    get_buffer = _PROTOTYPE(("PyObject_GetBuffer", ctypes.pythonapi))

    def export(instance: Any, view: int, flags: int) -> int:
        try:
            result: int = get_buffer(make_view(instance), view, flags)
        except BaseException:
            return -1  # ctypes would drop the exception and report success
        return result

    callback = _PROTOTYPE(export)
    slots = ctypes.c_void_p.from_address(id(cls) + _TP_AS_BUFFER).value
    assert slots, "a class made in Python has buffer slots"
    ctypes.c_void_p.from_address(slots).value = ctypes.cast(callback, ctypes.c_void_p).value
    cls._buffer_callback = callback  # type: ignore[attr-defined]  # as long as the class
