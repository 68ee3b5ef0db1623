"""What generated modules may import: host functions, and an instance with one of everything.

The host functions are described here, once, and bound by each engine: they log their arguments, and
their results follow from the arguments and the number of the call alone, so both engines' hosts say
the same. `ENVIRONMENT` is instantiated by each engine before the module.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.spec.values import Ref, Value
from tests.support.oracle import edge_values

__all__ = ["ENVIRONMENT", "HOST", "Host", "HostFailure", "available", "interesting"]

_I, _L, _F, _D, _V = "i32", "i64", "f32", "f64", "v128"

HOST: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "nothing": ((), ()),
    "i32": ((_I,), (_I,)),
    "i64": ((_L,), (_L,)),
    "f32": ((_F,), (_F,)),
    "f64": ((_D,), (_D,)),
    "v128": ((_V,), (_V,)),
    "take": ((_I, _L, _F, _D), ()),
    "give": ((), (_I, _L, _F, _D)),
    "pair": ((_F, _I), (_D, _L)),
    "vectors": ((_V, _I, _V), (_I, _V)),
    "many": ((_I, _L) * 5 + (_F, _D) * 5, (_L,)),
    "several": ((_D,), (_I, _F, _L, _D, _V, _I, _L, _F, _D, _I, _L)),
    "extern": (("externref",), ("externref",)),
    "func": (("funcref",), ("funcref",)),
}


def _signature(name: str) -> str:
    params, results = HOST[name]
    return f"(param {' '.join(params)}) (result {' '.join(results)})"


_HOST_IMPORTS = "\n".join(
    f'(import "host" "{name}" (func $host_{name} {_signature(name)}))' for name in HOST
)

# Written out twice, as what is there and as what may be imported, because the types of imports
# state what an importer relies on: less than what is there.
_GLOBALS: Mapping[str, tuple[str, str]] = {
    "i32": ("i32", "i32.const 0x80000000"),
    "i64": ("i64", "i64.const 0x7fffffffffffffff"),
    "f32": ("f32", "f32.const -0x1p-149"),
    "f64": ("f64", "f64.const inf"),
    "v128": ("v128", "v128.const i32x4 1 -1 0x80000000 0x7fc00000"),
    "count": ("i32", "i32.const 3"),
    "mutable_i32": ("(mut i32)", "i32.const 7"),
    "mutable_i64": ("(mut i64)", "i64.const -1"),
    "mutable_f32": ("(mut f32)", "f32.const nan:0x200001"),
    "mutable_f64": ("(mut f64)", "f64.const -0"),
    "mutable_v128": ("(mut v128)", "v128.const i64x2 1 2"),
    "mutable_extern": ("(mut externref)", "ref.null extern"),
    "mutable_func": ("(mut funcref)", "ref.func $double"),
}
_MEMORIES = {"memory": "1 4", "small": "0 2", "wide": "i64 1 3"}
_TABLES = {
    "functions": "8 20 funcref",
    "externs": "3 9 externref",
    "wide_functions": "i64 4 8 funcref",
}
_FUNCTIONS = {
    "double": "(param i32) (result i32)",
    "poke": "(param i32 i64)",
    "divide": "(param i64 i64) (result i64)",
    "bounce": "(param f64) (result f64)",
    "select": "(param i32 i32) (result i32)",
    "swap": "(param v128 f32) (result f32 v128)",
}


def available(source: random.Random) -> str:
    """The text of a module that imports some of it: the generator takes few at a time."""
    rows = [f'(import "host" "{n}" (func {_signature(n)}))' for n in source.sample([*HOST], 3)]
    for count, kind, table in (
        (2, "func", _FUNCTIONS),
        (1, "memory", _MEMORIES),
        (1, "table", _TABLES),
        (4, "global", {name: type_ for name, (type_, _) in _GLOBALS.items()}),
    ):
        names = source.sample(sorted(table), count)
        rows += [f'(import "env" "{name}" ({kind} {table[name]}))' for name in names]
    return f"(module {' '.join(rows)})"


ENVIRONMENT = f"""
(module
  {_HOST_IMPORTS}
  (type $unary (func (param i32) (result i32)))
  {" ".join(f'(memory ${n} (export "{n}") {t})' for n, t in _MEMORIES.items())}
  {" ".join(f'(table ${n} (export "{n}") {t})' for n, t in _TABLES.items())}
  {" ".join(f'(global ${n} (export "{n}") {t} ({i}))' for n, (t, i) in _GLOBALS.items())}
  (elem (table $functions) (i32.const 0) func $double $host_i32 $poke $divide)
  (elem (table $wide_functions) (i64.const 1) func $bounce $double)
  (data (memory $memory) (i32.const 65530) "\\01\\02\\03\\04\\05\\06")
  (func $double (export "double") (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func $poke (export "poke") (param i32 i64)
    (i64.store $memory (i32.and (local.get 0) (i32.const 0xffff)) (local.get 1)))
  (func $divide (export "divide") (param i64 i64) (result i64)
    (i64.div_s (local.get 0) (local.get 1)))
  (func $bounce (export "bounce") (param f64) (result f64)
    (global.set $mutable_f64 (local.get 0))
    (return_call $host_f64 (local.get 0)))
  (func $select (export "select") (param i32 i32) (result i32)
    (call_indirect $functions (type $unary)
      (local.get 0) (i32.and (local.get 1) (i32.const 15))))
  (func $swap (export "swap") (param v128 f32) (result f32 v128)
    (local.get 1) (v128.not (local.get 0))))
"""


class HostFailure(Exception):
    """What a host function raises now and then."""


@dataclass
class Host:
    """The host's side of one session.

    Attributes:
        log: every call since it was last taken: the function's name, its arguments, and what it
            did.
        reenter: calls an export of the running instance and returns a text of what came out, or
            None where there is none to call.
    """

    seed: str
    log: list[tuple[Any, ...]] = field(default_factory=list)
    reenter: Any = None
    calls: int = 0
    depth: int = 0

    def call(self, name: str, args: list[Value | Ref]) -> list[Value | Ref]:
        """One call of a host function. Raises HostFailure."""
        self.calls += 1
        source = random.Random(f"{self.seed} {name} {self.calls} {[str(arg) for arg in args]}")
        entry = (name, *args)
        choice = source.randrange(24)
        if choice == 0:
            self.log.append((*entry, "raises"))
            raise HostFailure(name)
        if choice < 4 and self.reenter is not None and self.depth < 2:
            self.depth += 1
            try:
                entry = (*entry, "reenters", self.reenter(source))
            finally:
                self.depth -= 1
        self.log.append(entry)
        return [
            args[0] if type_.endswith("ref") else interesting(source, type_)
            for type_ in HOST[name][1]
        ]


def interesting(source: random.Random, type_: str) -> Value:
    """A number on an edge more often than not."""
    if type_ == "v128":
        if source.random() < 0.3:
            return Value("v128", source.getrandbits(128))
        lane = source.choice(("i32", "i64", "f32", "f64"))
        width = 32 if lane in ("i32", "f32") else 64
        lanes = [interesting(source, lane).bits for _ in range(128 // width)]
        return Value("v128", sum(bits << i * width for i, bits in enumerate(lanes)))
    kind = source.random()
    if kind < 0.15:
        return Value(type_, source.getrandbits(64 if type_.endswith("64") else 32))
    if kind < 0.4 and type_ in ("i32", "i64"):
        return Value(type_, source.randrange(0, source.choice((4, 64, 70_000))))
    return Value(type_, source.choice(edge_values(type_)))
