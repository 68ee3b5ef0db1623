"""Making instances from text, for the tests of runtime objects."""

from __future__ import annotations

import gc
import weakref
from functools import lru_cache
from typing import Any

import jitwasm
from tests.support.wat import wat

__all__ = ["dies", "instantiate", "module_of"]


@lru_cache(maxsize=256)
def module_of(text: str, config: jitwasm.Config | None = None) -> jitwasm.Module:
    """The compiled module of a text."""
    return jitwasm.Module(wat(text), config)


def instantiate(text: str, imports: Any = None) -> jitwasm.Instance:
    """An instance of a module given as text."""
    return jitwasm.Instance(module_of(text), imports)


def dies(reference: weakref.ref[Any], *, collect: bool = False) -> bool:
    """Whether an object is gone; without `collect`, by reference counts alone."""
    if collect:
        gc.collect()
    return reference() is None
