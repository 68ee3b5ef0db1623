"""What cannot leave the process: objects over native memory refuse to be pickled or copied."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, SupportsIndex


__all__ = ["Unpicklable"]


class Unpicklable:
    """Base class that refuses pickling and copying with a clear error.

    A `Module` can be sent to another process and instantiated there.
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"cannot pickle or copy {type(self).__name__!r} object")
