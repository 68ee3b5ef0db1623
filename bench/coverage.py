"""How much of real modules the one-pass compiler covers: what it does not goes to LLVM.

    python -m bench.coverage FILE.wasm...

prints, for each module, its functions, the bytes of their bodies, and how many functions the
one-pass compiler leaves, with the first reason. Compiles only: nothing is validated or run.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from jitwasm.backend.baseline.compiler import Unsupported
from jitwasm.config import Config
from jitwasm.errors import CompileError
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.stream import StreamParser
from jitwasm.tiers import baseline_compiler

__all__ = ["Coverage", "coverage"]


@dataclass
class Coverage:
    """What the one-pass compiler made of a module.

    Attributes:
        functions: how many the module defines.
        code_bytes: of their bodies.
        left: (function index, reason) of each that goes to LLVM.
    """

    functions: int
    code_bytes: int
    left: list[tuple[int, str]]


def coverage(data: bytes) -> Coverage:
    """Compile all functions of a module.

    Raises:
        CompileError: the module is malformed, or needs features that are off by default.
    """
    config = Config()
    parser = StreamParser(config.features, config.limits)
    found = Coverage(0, 0, [])
    for event in [*parser.feed(data), *parser.finish()]:
        if isinstance(event, CodeStart):
            compiler = baseline_compiler(event.info, config)
        elif isinstance(event, FunctionBody):
            found.functions += 1
            found.code_bytes += len(event.body)
            try:
                compiler.compile(event.funcidx, event.body)
            except Unsupported as error:
                found.left.append((event.funcidx, str(error)))
    return found


def main(paths: list[str]) -> None:
    functions = left = 0
    for path in paths:
        try:
            found = coverage(Path(path).read_bytes())
        except CompileError as error:
            print(f"{Path(path).stem:24} refused: {error}")
            continue
        functions += found.functions
        left += len(found.left)
        reason = f"  {found.left[0][1]}" if found.left else ""
        row = f"{found.functions:>7} {found.code_bytes:>10,} {len(found.left):>5}{reason}"
        print(f"{Path(path).stem:24}{row}", flush=True)
    print(f"{left} of {functions} functions go to LLVM")


if __name__ == "__main__":
    main(sys.argv[1:])
