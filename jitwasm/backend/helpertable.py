"""The table through which baseline code finds the runtime's helpers: `StoreState.helpers`.

Every store points to it from the beginning; it is filled before the first baseline code runs.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

from jitwasm.libcalls import LIBCALLS

__all__ = ["fill_helpers", "helper_table"]


@functools.cache
def helper_table() -> ctypes.Array[ctypes.c_uint64]:
    """The addresses of the helpers, in the order of `LIBCALLS`; null until they are filled in."""
    return (ctypes.c_uint64 * len(LIBCALLS))()


def fill_helpers(address_of: Callable[[str], int]) -> None:
    """Fill the table, unless that has been done."""
    table = helper_table()
    if not table[0]:
        for number, name in reversed(list(enumerate(LIBCALLS))):
            table[number] = address_of(name)
