"""Functions as Python sees them: one callable for each FuncRef, however it is reached.

A FuncRef (abi.py) belongs to a context: the instance that defines the function, or that imported
it from the host. The callable is a builtin made by the native layer over the FuncRef; its `owner`
is a `FunctionAnchor`, which keeps the context and its store alive. Contexts know their callables
weakly, so that an unused one costs nothing and two of one function never exist.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import BuiltinFunctionType

from jitwasm.abi import FUNCREF
from jitwasm.backend.native import native
from jitwasm.block import Block, read_word
from jitwasm.config import Config
from jitwasm.rtt import deftype_at, rtt_address
from jitwasm.store import Hold, Member, Store
from jitwasm.types import DefType, FuncType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FunctionAnchor", "FunctionSpace", "anchor_of", "function_at", "make_funcref"]

WasmFunction = Callable[..., "Any"]


def make_funcref(code: int, env: int, type_: DefType, funcidx: int) -> Block:
    """A FuncRef in memory of its own."""
    block = Block(FUNCREF.size)
    for field, value in (
        ("code", code),
        ("env", env),
        ("type", rtt_address(type_)),
        ("funcidx", funcidx),
    ):
        block.words[FUNCREF.offset[field] // 8] = value
    return block


class FunctionSpace(Member):
    """The owner of FuncRefs and of the callables made from them.

    A FuncRef does not point to its callable: a borrowed pointer could not be read safely while
    another thread destroys the callable; the weak dictionary here can.
    """

    __slots__ = ("_callables", "config")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self._callables: weakref.WeakValueDictionary[int, WasmFunction] | None = None

    @property
    def callables(self) -> weakref.WeakValueDictionary[int, WasmFunction]:
        """The callables that have been made, by the address of their FuncRef."""
        if self._callables is None:
            self._callables = weakref.WeakValueDictionary()
        return self._callables

    def describe_function(self, funcidx: int) -> tuple[str, str]:
        """`__name__` and `__doc__` of the callable of a function."""
        raise NotImplementedError


class FunctionAnchor:
    """What a callable keeps alive, and how a callable given back to wasm is recognised.

    Attributes:
        funcref: address of the FuncRef.
        type: its defined type.
    """

    __slots__ = ("__weakref__", "_hold", "funcref", "type")

    def __init__(self, funcref: int, type_: DefType, hold: Hold) -> None:
        self.funcref = funcref
        self.type = type_
        self._hold = hold

    @property
    def store(self) -> Store:
        return self._hold.store

    @property
    def context(self) -> FunctionSpace:
        """The owner of the FuncRef."""
        assert isinstance(self._hold.member, FunctionSpace)
        return self._hold.member


def function_at(funcref: int) -> WasmFunction:
    """The callable of the FuncRef at an address."""
    env = read_word(funcref + FUNCREF.offset["env"])
    store = Store.of_environment(env)
    context = store.contexts[env]
    assert isinstance(context, FunctionSpace)
    found = context.callables.get(funcref)
    if found is None:
        found = context.callables.setdefault(funcref, _make_callable(funcref, context, store))
    return found


def anchor_of(value: object) -> FunctionAnchor | None:
    """The anchor of one of our callables; None for any other object."""
    if type(value) is not BuiltinFunctionType:
        return None
    anchor = getattr(value.__self__, "owner", None)
    if not isinstance(anchor, FunctionAnchor):
        return None
    # Anything can carry an attribute of that name: the context has the last word.
    return anchor if anchor.context.callables.get(anchor.funcref) is value else None


def _make_callable(funcref: int, context: FunctionSpace, store: Store) -> WasmFunction:
    type_ = deftype_at(read_word(funcref + FUNCREF.offset["type"]))
    assert isinstance(type_.comp, FuncType)
    funcidx = read_word(funcref + FUNCREF.offset["funcidx"])
    limits = context.config.limits
    name, doc = context.describe_function(funcidx)
    return native().function(
        type_.comp,
        funcref,
        name,
        doc,
        owner=FunctionAnchor(funcref, type_, context.hold(store)),
        release_gil=context.config.release_gil,
        call_seconds=limits.call_seconds,
        stack_bytes=limits.stack_bytes,
    )
