"""What a C programmer tries first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jitwasm.aot.emit import AotOptions, compile_module
from jitwasm.cli.main import main
from tests.aot.support import HERE, cc, needs_cc, run
from tests.support.guests import library
from tests.support.npm import npm_module
from tests.support.wat import wat

pytestmark = needs_cc
EXAMPLES = HERE / "examples"

OUTPUT = """\
a430d84680aabd0b
85944171f73967e8
a430d84680aabd0b
calls: 2 and 1
trap: integer divide by zero
trap: out of bounds memory access
average: 2
"""


def fnv(value: bytes) -> int:
    h = 0xCBF29CE484222325
    for byte in value:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


@pytest.mark.parametrize("bounds", ["guard", "explicit"])
def test_hash_two_instances_and_a_trap(tmp_path: Path, bounds: str) -> None:
    source = tmp_path / "fnv.wasm"
    source.write_bytes(library(EXAMPLES / "fnv.c"))
    assert main(["compile", str(source), f"--bounds={bounds}", "--no-loadable"]) == 0
    cc(tmp_path, "-o", "example", str(EXAMPLES / "main.c"), "fnv.o")
    assert f"{fnv(b'hello'):016x}" in OUTPUT and f"{fnv(b'foobar'):016x}" in OUTPUT
    assert run(tmp_path, "./example") == OUTPUT


SHARED_MEMORY = """
(module
  (import "env" "memory" (memory 1 3))
  (import "env" "table" (table 2 4 funcref))
  (import "env" "scale" (global $scale i32))
  (import "env" "offset" (global $offset (mut i64)))
  (elem (i32.const 0) $double)
  (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "poke") (param i32 i32)
    (i32.store (local.get 0) (i32.mul (local.get 1) (global.get $scale))))
  (func (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "call") (param i32) (result i32)
    (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
  (func (export "advance") (result i64)
    (global.set $offset (i64.add (global.get $offset) (i64.const 1)))
    (global.get $offset)))
"""

SHARED_MAIN = """
#include <stdio.h>
#include "shared.h"
int main(void) {
    int32_t scale = 3, error = 0;
    int64_t offset = 41;
    shared_imports imports = {0};
    if (shared_instantiate(&imports, 0, &error) || error != -2) return 1;
    if (shared_instantiate(0, 0, &error) || error != -2) return 2;
    imports.env__memory = shared_new_env__memory();
    imports.env__table = shared_new_env__table();
    imports.env__scale = &scale;
    imports.env__offset = &offset;
    shared_instance *one = shared_instantiate(&imports, 0, &error);
    shared_instance *two = shared_instantiate(&imports, 0, 0);
    if (!one || !two) return 3;
    shared__poke(one, 8, 5);
    if (shared__peek(two, 8) != 15) return 4;
    if (shared__call(two, 21) != 42) return 5;
    if (shared__advance(one) != 42 || shared__advance(two) != 43 || offset != 43) return 6;
    shared_free(one);
    shared_free(two);
    imports.env__memory->size = 100;
    if (shared_instantiate(&imports, 0, &error) || error != -2) return 7;
    shared_free_env__memory(imports.env__memory);
    shared_free_env__table(imports.env__table);
    return 0;
}
"""


def test_instances_share_a_memory_a_table_and_globals(tmp_path: Path) -> None:
    compiled = compile_module(wat(SHARED_MEMORY), AotOptions("shared"))
    (tmp_path / "shared.o").write_bytes(compiled.object())
    (tmp_path / "shared.h").write_text(compiled.header())
    (tmp_path / "main.c").write_text(SHARED_MAIN)
    cc(tmp_path, "-o", "main", "main.c", "shared.o")
    run(tmp_path, "./main")


MANY_IMPORTS = """
(module
  (type $wide (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "sum" (func $sum (type $wide)))
  (table 1 funcref)
  (elem (i32.const 0) $sum)
  (func (export "direct") (result i32)
    (call $sum (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
      (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8)))
  (func (export "indirect") (result i32)
    (call_indirect (type $wide) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
      (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 0)))
  TAIL)
"""
TAIL = """
  (func (export "tail") (result i32)
    (return_call $sum (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
      (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8)))"""
SUM = """
#include "many.h"
PROTOTYPE { (void)host; return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h; }
int main(void) {
    IMPORTS
    many_instance *many = many_instantiate(GIVEN, 0, 0);
    if (!many) return 1;
    if (many__direct(many) != 204) return 2;
    if (many__indirect(many) != 204) return 3;
    TAIL
    return 0;
}
"""


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("table", [False, True])
def test_import_with_more_parameters_than_registers(
    tmp_path: Path, table: bool, tail: bool
) -> None:
    source = MANY_IMPORTS.replace("TAIL", TAIL if tail else "")
    compiled = compile_module(wat(source), AotOptions("many", import_table=table))
    (tmp_path / "many.o").write_bytes(compiled.object())
    (tmp_path / "many.h").write_text(compiled.header())
    letters = ", ".join(f"int32_t {letter}" for letter in "abcdefgh")
    name = "static int32_t sum" if table else "int32_t many__env__sum"
    text = SUM.replace("PROTOTYPE", f"{name}(void *host, {letters})")
    text = text.replace("IMPORTS", "many_imports imports = {sum};" if table else "")
    text = text.replace("GIVEN", "&imports" if table else "0")
    text = text.replace("TAIL", "if (many__tail(many) != 204) return 4;" if tail else "")
    (tmp_path / "main.c").write_text(text)
    cc(tmp_path, "-o", "main", "main.c", "many.o")
    run(tmp_path, "./main")


def test_sqlite_answers_a_query(tmp_path: Path) -> None:
    sqlite = npm_module(
        "@sqlite.org/sqlite-wasm@3.41.2+build.1",
        "package/sqlite-wasm/jswasm/sqlite3.wasm",
        "2d34bf9279985db154f98bfab9ffa289b014821873ed188b67e3a4c5d1b7faec",
    )
    source = tmp_path / "sq.wasm"
    source.write_bytes(sqlite)
    assert main(["compile", str(source), "-O0", "--no-loadable"]) == 0
    header = (tmp_path / "sq.h").read_text()
    # A database in memory wants nothing of the system: each import says that it failed.
    prototypes = re.findall(r"^((\w+) sq__(?:env|wasi)\w+\(.*\));$", header, re.M)
    stubs = [f"{p} {{ (void)host; return {'' if r == 'void' else -1}; }}" for p, r in prototypes]
    (tmp_path / "stubs.c").write_text('#include "sq.h"\n' + "\n".join(stubs) + "\n")
    cc(tmp_path, "-Wno-unused-parameter", "-c", "stubs.c")
    cc(tmp_path, "-o", "sq", str(EXAMPLES / "sqlite.c"), "stubs.o", "sq.o", "-lm")
    assert run(tmp_path, "./sq") == "1 apple 3.50\n2 pear 1.25\ntotal 4.75\n"
