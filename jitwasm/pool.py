"""Pools: instances that are used again and again, each time as if they were new."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator

from jitwasm.instance import Instance
from jitwasm.module import CompiledModule
from jitwasm.types import GlobalType, MemoryType, TableType

__all__ = ["InstancePool"]


class InstancePool:
    """Instances of one module for many short uses, such as one for each request.

    Whoever uses one gets it as new: after each use its memories, tables and globals are set back,
    and its start function runs again. That takes microseconds, however large the memory is.
    Threads may share a pool.

    Args:
        module: the compiled module.
        imports: as of `Instance`; functions and immutable globals only. What they keep themselves
            is not set back.
        size: how many unused instances are kept for later.

    Raises:
        ValueError: the module imports memories, tables or mutable globals, which instances would
            share; or `size` is not positive.
        LinkError, Trap, TypeError: as of `Instance`: the first instance is made at once.

    Example:
        >>> pool = jitwasm.InstancePool(module, {"env": {"log": print}})
        >>> with pool.instance() as instance:
        ...     reply = instance.exports.handle(42)
    """

    def __init__(self, module: CompiledModule, imports: object = None, size: int = 8) -> None:
        if size < 1:
            raise ValueError(f"size must be positive, not {size}")
        first = Instance(module, imports)
        for row in module.info.imports:
            if isinstance(row.desc, (MemoryType, TableType)) or (
                isinstance(row.desc, GlobalType) and row.desc.mutable
            ):
                raise ValueError(f"instances would share the import {row.module!r} {row.name!r}")
        self._module, self._imports = module, imports
        self._idle: deque[Instance] = deque([first], maxlen=size)

    def __len__(self) -> int:
        """How many instances are waiting to be used."""
        return len(self._idle)

    def __bool__(self) -> bool:
        return True

    @contextlib.contextmanager
    def instance(self) -> Iterator[Instance]:
        """An instance that is as new, for the duration of a `with` block.

        Afterwards nothing that was got from it may be used any more: functions and views of its
        memory would meet the next user's data. If the block raises, the instance is given up.

        Raises:
            Trap: the module's start function trapped.
        """
        try:
            instance = self._idle.pop()
        except IndexError:
            instance = Instance(self._module, self._imports)
        yield instance
        instance._reset()
        self._idle.append(instance)

    def __repr__(self) -> str:
        return f"<InstancePool of {self._module!r}: {len(self)} waiting>"
