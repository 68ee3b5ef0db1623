"""What LLVM does at each optimisation level, as data.

Wasm was optimised before it was shipped; what pays most is what its producer could not do:
vectorise, use the machine's instructions, inline across what used to be object files.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PIPELINES", "Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """How one optimisation level compiles.

    Attributes:
        codegen: LLVM's code generation level; 0 selects instructions with FastISel, ten times
            faster than what the others use.
        default: run LLVM's `default<O…>` pipeline of this level; None runs `passes` instead.
        passes: single passes in order, by their LLVM class names ("InstCombinePass"), each run
            over the whole unit.
        vectorize: let the default pipeline vectorise loops and straight-line code.
    """

    codegen: int
    default: int | None = None
    passes: tuple[str, ...] = ()
    vectorize: bool = True


PIPELINES: tuple[Pipeline, ...] = (
    Pipeline(codegen=0),
    Pipeline(codegen=1, default=1, vectorize=False),
    Pipeline(codegen=2, default=2),
    Pipeline(codegen=3, default=3),
)
"""By optimisation level, 0 to 3."""
