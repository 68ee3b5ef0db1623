"""`jitwasm.load`: modules from objects, without compiling."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import jitwasm
from jitwasm.aot import stored
from jitwasm.backend import codegen
from tests.aot.support import cc, needs_cc, run
from tests.support.wat import wat

SOURCE = """
(module $calc
  (import "env" "log" (func $log (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "abc")
  (func (export "add") (param i32 i32) (result i32)
    (call $log (local.get 0)) (i32.add (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))
"""


@pytest.fixture(scope="module")
def module() -> jitwasm.Module:
    return jitwasm.Module(wat(SOURCE))


@pytest.fixture(scope="module")
def data(module: jitwasm.Module) -> bytes:
    return module.emit_object("calc")


def check(module: jitwasm.Module) -> None:
    logged: list[int] = []
    instance = jitwasm.Instance(module, {"env": {"log": logged.append}})
    assert instance.exports.add(2, 3) == 5
    assert logged == [2]
    assert instance.exports.load(1) == ord("b")
    with pytest.raises(jitwasm.Trap, match=r"calc\.load"):
        instance.exports.load(-1)


def test_object_gives_the_module_back_without_compiling(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calc.o"
    path.write_bytes(data)
    monkeypatch.setattr(codegen, "_compile", None)
    for source in (path, str(path), data, memoryview(data)):
        module = jitwasm.load(source)
    monkeypatch.undo()
    assert module.name == "calc"
    assert [row.name for row in module.imports()] == ["log"]
    check(module)
    check(pickle.loads(pickle.dumps(module)))


@needs_cc
def test_library_and_program_give_it_back_too(module: jitwasm.Module, tmp_path: Path) -> None:
    emitted = module.emit("calc", loadable=True)
    check(jitwasm.load(emitted.shared_library()))
    (tmp_path / "calc.o").write_bytes(emitted.object())
    (tmp_path / "calc.h").write_text(emitted.header())
    (tmp_path / "main.c").write_text(
        '#include "calc.h"\nint logged;\n'
        "void calc__env__log(void *host, int32_t a) { (void)host; logged = a; }\n"
        "int main(void) { calc_instance *c = calc_instantiate(0, 0, 0);\n"
        "return calc__add(c, 40, 2) != 42 || logged != 40; }\n"
    )
    cc(tmp_path, "-o", "main", "main.c", "calc.o")
    run(tmp_path, "./main")
    check(jitwasm.load(tmp_path / "main"))


@pytest.mark.parametrize("options", [{"bounds": "explicit"}, {"cpu": "native", "opt_level": 0}])
def test_options_hold_for_the_loaded_module(
    module: jitwasm.Module, options: dict[str, object]
) -> None:
    loaded = jitwasm.load(module.emit_object(**options))
    assert loaded.config.bounds == options.get("bounds", "guard")
    check(loaded)


def test_executor_compiles_and_output_is_the_same(module: jitwasm.Module, data: bytes) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert module.emit_object("calc", executor=pool) == data


def test_object_without_the_section_is_refused(module: jitwasm.Module) -> None:
    with pytest.raises(jitwasm.LoadError, match="no section"):
        jitwasm.load(module.emit_object(loadable=False))


@pytest.mark.parametrize("text", [b"", b"\x7fELF", b"\0asm\1\0\0\0", b"#!/bin/sh\n" * 20])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(jitwasm.LoadError):
        jitwasm.load(text)


def test_missing_file_and_wrong_type(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        jitwasm.load(tmp_path / "none.o")
    with pytest.raises(TypeError):
        jitwasm.load(5)


def test_every_cut_and_flipped_byte_is_refused(data: bytes) -> None:
    contents = stored.find_section(data)
    start = data.index(contents)
    for size in range(0, len(data), 997):
        with pytest.raises(jitwasm.LoadError):
            jitwasm.load(data[:size])
    for at in range(start, start + len(contents), 191):
        with pytest.raises(jitwasm.LoadError):
            jitwasm.load(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])


def test_damaged_elf_headers_are_refused_or_do_not_matter(data: bytes) -> None:
    table = struct.unpack_from("<Q", data, 40)[0]
    for at in [*range(64), *range(table, len(data), 7)]:
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        try:
            jitwasm.load(damaged)
        except jitwasm.LoadError:
            continue


def rewritten(data: bytes, **changes: object) -> bytes:
    """The object with another description, and the digest that goes with it."""
    contents = stored.find_section(data)
    size = stored._HEAD.unpack_from(contents)[2]
    body = contents[stored._HEAD.size :]
    description = {**json.loads(body[:size]), **changes}
    text = json.dumps(description).encode()
    body = text + body[size:]
    head = stored._HEAD.pack(b"jitwasm\0", 1, len(text), hashlib.sha256(body).digest())
    emptied = data.replace(b".jitwasm\0", b".ignored\0")
    return stored.add_section(emptied, head + body)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jitwasm": "0.0.7"}, "made by jitwasm 0.0.7"),
        ({"abi": 99}, "ABI 99"),
        ({"triple": "aarch64-unknown-linux-gnu"}, "is for aarch64"),
        ({"cpu": "z80"}, "processor z80"),
        ({"features": ["+nonsense"]}, "lacks: nonsense"),
        ({"module": -1}, "makes no sense"),
        ({"module": "x"}, "makes no sense"),
        ({"objects": None}, "makes no sense"),
        ({"config": {"bounds": "none"}}, "makes no sense"),
        ({"config": {"features": {"telepathy": True}}}, "makes no sense"),
    ],
)
def test_description_that_does_not_fit_is_refused(
    data: bytes, changes: dict[str, object], message: str
) -> None:
    jitwasm.load(rewritten(data))
    with pytest.raises(jitwasm.LoadError, match=message):
        jitwasm.load(rewritten(data, **changes))


def test_emit_options_are_checked(module: jitwasm.Module) -> None:
    with pytest.raises(ValueError, match="be a prefix"):
        module.emit_object("no good")
    with pytest.raises(ValueError, match="opt_level"):
        module.emit_object(opt_level=4)
    with pytest.raises(ValueError, match="bounds"):
        module.emit_object(bounds="none")
    with pytest.raises(ValueError, match="signal"):
        module.emit_object(signals=False)
    with pytest.raises(TypeError):
        module.emit_object(optlevel=2)
