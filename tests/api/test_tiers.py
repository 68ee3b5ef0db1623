"""The tiers behave alike; lazily compiled functions are found by everyone who calls them."""

from __future__ import annotations

import gc
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import jitwasm
from jitwasm import Config, tierchoice
from jitwasm.livecode import LiveCode
from jitwasm.tierup import settle
from tests.support.wat import wat

CONFIGS = {
    "optimized": Config(tier="optimized", opt_level=0),
    "baseline": Config(tier="baseline"),
    "lazy": Config(tier="auto", tier_up="never"),
    "lazy, then optimised": Config(tier="auto", tier_up="early"),
    "optimized, level 2": Config(tier="optimized", opt_level=2),
    "explicit": Config(tier="baseline", bounds="explicit"),
}

MODULE = """(module
  (import "host" "twice" (func $twice (param i32) (result i32)))
  (memory (export "memory") 1)
  (table (export "table") 4 funcref) (elem (i32.const 1) $add $many)
  (type $binary (func (param i32 i32) (result i32)))
  (global $count (export "count") (mut i32) (i32.const 0))
  (func $add (export "add") (type $binary) (i32.add (local.get 0) (local.get 1)))
  (func $many (export "many")
    (param i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 i32 i64) (result i64)
    (i64.add
      (i64.add (local.get 1) (i64.extend_i32_s (local.get 10)))
      (i64.add (local.get 11) (i64.trunc_f64_s (local.get 7)))))
  (func (export "call_many") (result i64)
    (call $many (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (i32.const 5) (i64.const 6)
      (f32.const 7) (f64.const 8) (i32.const 9) (i64.const 10) (i32.const -11) (i64.const 12)))
  (func (export "results") (param i32) (result i32 f64 i64 i32 f32 i32)
    (local.get 0) (f64.const 2.5) (i64.const -3) (i32.const 4) (f32.const 5.5)
    (call $twice (local.get 0)))
  (func (export "indirect") (param i32 i32 i32) (result i32)
    (call_indirect (type $binary) (local.get 1) (local.get 2) (local.get 0)))
  (func $tail (export "tail") (param i32 i64) (result i64)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $tail (i32.sub (local.get 0) (i32.const 1))
      (i64.add (local.get 1) (i64.extend_i32_u (local.get 0)))))
  (func (export "mixed") (param i32) (result f64) (local f64 i32)
    (loop $next
      (local.set 1 (f64.add (local.get 1) (f64.convert_i32_s (call $twice (local.get 2)))))
      (local.set 2 (i32.add (local.get 2) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get 2) (local.get 0))))
    (local.get 1))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "divide") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
  (func $deep (export "deep") (param i32) (result i32)
    (i32.add (call $deep (local.get 0)) (i32.const 1))))"""


def make_all_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let "auto" treat the smallest module like a large one."""
    monkeypatch.setattr(tierchoice, "EAGER_BYTES", 0)


@pytest.fixture(params=CONFIGS)
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> jitwasm.Module:
    make_all_lazy(monkeypatch)
    return jitwasm.Module(wat(MODULE), CONFIGS[request.param])


def instance_of(module: jitwasm.Module, twice: Any = lambda x: 2 * x) -> Any:
    return jitwasm.Instance(module, {"host": {"twice": twice}}).exports


def test_calls_and_results(module: jitwasm.Module) -> None:
    exports = instance_of(module)
    assert exports.add(2, -3) == -1
    assert exports.call_many() == 2 - 11 + 12 + 8
    assert exports.many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -11, 12) == 11
    assert exports.results(21) == (21, 2.5, -3, 4, 5.5, 42)
    assert exports.indirect(1, 5, 6) == 11
    assert exports.mixed(100) == 9900.0
    assert exports.tail(100_000, 0) == 100_000 * 100_001 // 2
    assert exports.grow(2) == 1
    assert exports.load(65536 * 3 - 4) == 0


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("indirect", (0, 1, 2), "uninitialized element"),
        ("indirect", (2, 1, 2), "indirect call type mismatch"),
        ("indirect", (4, 1, 2), "undefined element"),
        ("load", (65533,), "out of bounds memory access"),
        ("divide", (1, 0), "integer divide by zero"),
        ("divide", (-(1 << 63), -1), "integer overflow"),
    ],
)
def test_traps(module: jitwasm.Module, name: str, arguments: Any, message: str) -> None:
    exports = instance_of(module)
    for _ in range(2):
        with pytest.raises(jitwasm.Trap, match=message) as caught:
            exports[name](*arguments)
        assert [frame.name for frame in caught.value.frames] == [name]


def test_endless_recursion_is_a_trap(module: jitwasm.Module) -> None:
    with pytest.raises(RecursionError, match="call stack exhausted") as caught:
        instance_of(module).deep(1)
    assert {frame.name for frame in caught.value.frames} == {"deep"}


def test_an_exception_of_the_host_passes_through(module: jitwasm.Module) -> None:
    def fail(x: int) -> int:
        raise KeyError(x)

    exports = instance_of(module, fail)
    with pytest.raises(KeyError):
        exports.mixed(3)
    assert exports.add(1, 1) == 2


def test_host_functions_may_call_back(module: jitwasm.Module) -> None:
    exports = instance_of(module, lambda x: exports.add(x, x))
    assert exports.mixed(50) == 2450.0


def test_functions_of_one_instance_serve_another(module: jitwasm.Module) -> None:
    exports = instance_of(module)
    importer = jitwasm.Module(
        wat("""(module (import "m" "add" (func $add (param i32 i32) (result i32)))
              (import "m" "table" (table 4 funcref))
              (type $binary (func (param i32 i32) (result i32)))
              (func (export "direct") (result i32) (call $add (i32.const 2) (i32.const 3)))
              (func (export "indirect") (result i32)
                (call_indirect (type $binary) (i32.const 4) (i32.const 5) (i32.const 1))))"""),
        module.config,
    )
    other = jitwasm.Instance(importer, {"m": exports}).exports
    for _ in range(3):
        assert (other.direct(), other.indirect()) == (5, 9)


def test_instances_outlive_the_module(module: jitwasm.Module) -> None:
    first = instance_of(module)
    second = instance_of(module)
    assert first.add(1, 2) == 3
    data = pickle.dumps(module)
    del module
    gc.collect()
    assert second.add(3, 4) == 7
    assert first.mixed(3) == 6.0
    assert instance_of(pickle.loads(data)).tail(10, 0) == 55


def test_threads_may_call_at_once(module: jitwasm.Module) -> None:
    def work(number: int) -> float:
        return float(instance_of(module).mixed(number))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(1, 40))) == [n * (n - 1.0) for n in range(1, 40)]


def test_only_called_functions_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    make_all_lazy(monkeypatch)
    module = jitwasm.Module(wat(MODULE), Config(tier="auto", tier_up="never"))
    assert module.objects == ()
    exports = instance_of(module)
    lazy = module._parts.lazy
    assert isinstance(lazy, LiveCode)
    assert lazy.functions_compiled == 0
    exports.call_many()
    assert lazy.functions_compiled == 2
    instance_of(module).call_many()
    assert lazy.functions_compiled == 2


@pytest.mark.parametrize("tier", ["baseline", "auto"])
def test_an_invalid_body_is_refused_although_it_is_never_called(tier: str) -> None:
    data = wat('(module (func (export "f")) (func (result i32) (i32.const 1)))')
    broken = data.replace(b"\x41\x01", b"\x42\x01")
    with pytest.raises(jitwasm.CompileError, match="type mismatch"):
        jitwasm.Module(broken, Config(tier=tier))


@pytest.mark.parametrize("tier_up", ["never", "early"])
def test_lazy_validation_refuses_a_body_when_it_is_called(
    tier_up: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_all_lazy(monkeypatch)
    data = wat("""(module
      (func $bad (export "bad") (result i32) (i32.const 77))
      (func (export "good") (param i32) (result i32)
        (if (result i32) (local.get 0) (then (call $bad)) (else (i32.const 5)))))""")
    broken = data.replace(b"\x41\xcd", b"\x42\xcd")
    config = Config(validation="lazy", tier_up=tier_up)
    assert not jitwasm.validate(broken)
    with pytest.raises(jitwasm.CompileError):
        jitwasm.Module(broken, Config())
    module = jitwasm.Module(broken, config)
    exports = jitwasm.Instance(module).exports
    live = module._parts.lazy
    assert isinstance(live, LiveCode)
    for _ in range(2):
        assert exports["good"](0) == 5
        for call in (lambda: exports["bad"](), lambda: exports["good"](1)):
            with pytest.raises(jitwasm.CompileError, match="type mismatch") as caught:
                call()
            assert caught.value.funcidx == 0
            assert caught.value.name == "bad"
            assert caught.value.offset == broken.index(b"\x42\xcd\x00\x0b") + 3
        if tier_up == "early":
            assert settle(live, 60)
            assert module.tiers.optimized == 1
    assert live.called in ([1], [])


def test_lazy_validation_still_refuses_what_is_not_in_a_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_all_lazy(monkeypatch)
    data = wat('(module (memory 1) (func (export "f")) (data (i32.const 0) "x"))')
    with pytest.raises(jitwasm.CompileError):
        jitwasm.Module(data[:-1], Config(validation="lazy"))


def test_unknown_ways_of_validation_are_refused() -> None:
    with pytest.raises(ValueError, match="validation must be"):
        Config(validation="never")


def test_an_unknown_tier_is_refused() -> None:
    with pytest.raises(ValueError, match="tier must be"):
        Config(tier="fast")


@pytest.mark.parametrize(
    "config",
    [
        Config(tier="baseline"),
        Config(tier="optimized", strict=True),
        Config(tier="optimized", fuel=1000),
    ],
    ids=["baseline", "strict", "fuel"],
)
def test_what_was_stored_before_a_trap_is_there_after_it(config: Config) -> None:
    """Although code behind the load that traps would have overwritten it."""
    module = jitwasm.Module(
        wat("""
        (module
          (memory (export "memory") 1)
          (global $g (export "global") (mut i32) (i32.const 0))
          (table $t (export "table") 1 funcref)
          (func $f (export "f") (param i32)
            (global.set $g (i32.const 1))
            (table.set $t (i32.const 0) (ref.func $f))
            (i32.store (i32.const 8) (i32.const 1))
            (global.set $g (i32.load (local.get 0)))
            (table.set $t (i32.const 0) (ref.null func))
            (i32.store (i32.const 8) (i32.const 2))))"""),
        config,
    )
    exports = jitwasm.Instance(module).exports
    with pytest.raises(jitwasm.Trap):
        exports.f(65536)
    assert exports["global"].value == 1
    assert exports.table[0] is exports.f
    assert exports.memory.view("i32")[2] == 1
    exports.f(0)
    assert exports["global"].value == 0 and exports.table[0] is None
