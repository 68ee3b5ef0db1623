"""Values cross every boundary unchanged, whatever the signature.

Random function types with few and many parameters and results of every type travel from Python
into wasm, through direct, indirect and tail calls, out to a Python function and back. Every bit is
compared: NaN payloads, the sign of zero, lanes, identities of references.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.spec.values import Ref, Value
from tests.support.oracle import edge_values

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")
jitwasm = pytest.importorskip("jitwasm")
adapter = pytest.importorskip("tests.spec.adapter")

from tests.support.wat import wat  # noqa: E402

SEED = 11
SIGNATURES = 18
TYPES = ("i32", "i64", "f32", "f64", "v128", "externref")
Values = list[Value | Ref]


@dataclass(frozen=True)
class Signature:
    """A function that returns some of its parameters: result i is parameter `picks[i]`."""

    params: tuple[str, ...]
    picks: tuple[int, ...]

    @property
    def text(self) -> str:
        results = " ".join(self.params[pick] for pick in self.picks)
        return f"(param {' '.join(self.params)}) (result {results})"


def signature(number: int) -> Signature:
    """Few parameters first, then ever more, beyond what registers hold."""
    source = random.Random(f"{SEED} {number}")
    count = 1 + number if number < 8 else source.randrange(8, 40)
    types = TYPES if number % 3 else TYPES[: 1 + number % 5]
    params = tuple(source.choice(types) for _ in range(count))
    picks = tuple(source.randrange(count) for _ in range(source.choice((0, 1, 2, 3, 5, 8, 17))))
    return Signature(params, picks)


def arguments(source: random.Random, params: Sequence[str]) -> Values:
    return [_argument(source, type_) for type_ in params]


def _argument(source: random.Random, type_: str) -> Value | Ref:
    if type_ == "externref":
        return source.choice([Ref("null", "extern"), Ref("extern", source.randrange(5))])
    if type_ == "v128":
        return Value(type_, source.getrandbits(128))
    return Value(type_, source.choice(edge_values(type_)))


def module_text(shape: Signature, tail_calls: bool) -> str:
    gets = " ".join(f"(local.get {i})" for i in range(len(shape.params)))
    picks = " ".join(f"(local.get {i})" for i in shape.picks)
    exports = {
        "direct": f"(call $pick {gets})",
        "indirect": f"(call_indirect (type $t) {gets} (i32.const 1))",
        "reference": f"(call_ref $t {gets} (ref.func $pick))",
        "host": f"(call $host {gets})",
        "host indirect": f"(call_indirect (type $t) {gets} (i32.const 2))",
    }
    if tail_calls:
        exports |= {
            "tail": f"(return_call $pick {gets})",
            "tail indirect": f"(return_call_indirect (type $t) {gets} (i32.const 1))",
            "tail reference": f"(return_call_ref $t {gets} (ref.func $pick))",
            "tail host": f"(return_call $host {gets})",
            "through tail": f"(call $tail {gets})",
        }
    functions = [
        f'(func {"$tail " if name == "tail" else ""}(export "{name}") (type $t) {body})'
        for name, body in exports.items()
    ]
    return f"""(module
        (type $t (func {shape.text}))
        (import "env" "host" (func $host (type $t)))
        (table 4 funcref)
        (elem (i32.const 1) $pick $host)
        (elem declare func $pick)
        (func $pick (type $t) {picks})
        {" ".join(functions)}
        (export "host itself" (func $host)))"""


def same(expected: Sequence[Value | Ref], actual: Sequence[Value | Ref]) -> bool:
    return [_plain(value) for value in expected] == [_plain(value) for value in actual]


def _plain(value: Value | Ref) -> object:
    return "null" if isinstance(value, Ref) and value.kind == "null" else value


CONFIGS = {
    "opt0": jitwasm.Config(tier="optimized", opt_level=0),
    "opt2": jitwasm.Config(tier="optimized", opt_level=2),
    "baseline": jitwasm.Config(tier="baseline"),
    "ctypes": jitwasm.Config(tier="baseline", host_calls="ctypes"),
}


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("number", range(SIGNATURES))
def test_values_cross_unchanged(number: int, config: str) -> None:
    shape = signature(number)
    engine = adapter.JitwasmEngine(CONFIGS[config])
    seen: list[Values] = []

    def host(*args: object) -> object:
        pairs = zip(args, shape.params, strict=True)
        values = [engine.from_python(value, type_) for value, type_ in pairs]
        seen.append(values)
        results = [args[pick] for pick in shape.picks]
        return None if not results else results[0] if len(results) == 1 else tuple(results)

    tail_calls = number % 2 == 0
    module = engine.compile(wat(module_text(shape, tail_calls)))
    instance = engine.instantiate(module, {"env": adapter.Provided({"host": host})})
    source = random.Random(f"{SEED} {number} arguments")
    for row in module.exports():
        for _ in range(4):
            args = arguments(source, shape.params)
            expected = [args[pick] for pick in shape.picks]
            seen.clear()
            results = engine.invoke(instance, row.name, args)
            assert same(expected, results), (row.name, shape.text)
            if "host" in row.name:
                assert len(seen) == 1, row.name
                assert same(args, seen[0]), (row.name, shape.text)


@pytest.mark.parametrize("config", ["opt2", "baseline"])
@pytest.mark.parametrize("type_", ["i32", "i64", "f32", "f64"])
def test_every_edge_value_survives_in_globals_and_memory(type_: str, config: str) -> None:
    engine = adapter.JitwasmEngine(CONFIGS[config])
    text = f"""(module
        (memory (export "memory") 1)
        (global $g (export "g") (mut {type_}) ({type_}.const 0))
        (func (export "set") (param {type_}) (global.set $g (local.get 0)))
        (func (export "get") (result {type_}) (global.get $g))
        (func (export "store") (param {type_}) ({type_}.store offset=3 (i32.const 0) (local.get 0)))
        (func (export "load") (result {type_}) ({type_}.load offset=3 (i32.const 0))))"""
    instance = engine.instantiate(engine.compile(wat(text)), {})
    size = 4 if type_.endswith("32") else 8
    for bits in edge_values(type_):
        value = Value(type_, bits)
        assert engine.invoke(instance, "set", [value]) == []
        assert engine.invoke(instance, "get", []) == [value]
        assert engine.get(instance, "g") == value
        instance.exports["g"].value = engine.to_python(Value(type_, 0))
        assert engine.invoke(instance, "get", []) == [Value(type_, 0)]
        instance.exports["g"].value = engine.to_python(value)
        assert engine.invoke(instance, "get", []) == [value]
        assert engine.invoke(instance, "store", [value]) == []
        assert engine.memory(instance, "memory")[3 : 3 + size] == bits.to_bytes(size, "little")
        assert engine.invoke(instance, "load", []) == [value]


def test_ten_million_tail_calls_of_different_signatures_take_constant_stack() -> None:
    parameters = "i64 " * 13
    vectors = "v128 " * 12
    text = f"""(module
        (type $one (func (param i64) (result i64)))
        (type $ints (func (param {parameters}) (result i64)))
        (type $vectors (func (param {vectors}) (result i64)))
        (table funcref (elem $one $ints $vectors))
        (elem declare func $vectors)
        (func $one (export "run") (type $one)
          (if (i64.eqz (local.get 0)) (then (return (i64.const 42))))
          (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
          (return_call $ints {
        " ".join(f"(i64.add (local.get 0) (i64.const {i}))" for i in range(13))
    }))
        (func $ints (type $ints)
          (if (i64.ne (local.get 12) (i64.add (local.get 0) (i64.const 12))) (then unreachable))
          (if (i64.eqz (local.get 0)) (then (return (i64.const 43))))
          (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
          (return_call_indirect (type $vectors)
            {"(i64x2.splat (local.get 0)) " * 11} (i64x2.splat (local.get 0)) (i32.const 2)))
        (func $vectors (type $vectors)
          (if (i64.ne (i64x2.extract_lane 1 (local.get 11)) (i64x2.extract_lane 0 (local.get 0)))
            (then unreachable))
          (if (i64.eqz (i64x2.extract_lane 0 (local.get 5))) (then (return (i64.const 44))))
          (return_call_ref $one
            (i64.sub (i64x2.extract_lane 1 (local.get 9)) (i64.const 1))
            (ref.func $one)))
        (elem declare func $one))"""
    for name in ("opt0", "opt2", "baseline"):
        engine = adapter.JitwasmEngine(CONFIGS[name])
        instance = engine.instantiate(engine.compile(wat(text)), {})
        # Each of the three counts down by one and returns its own number at zero.
        for count in (0, 1, 2, 10_000_000):
            expected = [Value("i64", 42 + count % 3)]
            assert engine.invoke(instance, "run", [Value("i64", count)]) == expected
