"""What LLVM does at each optimisation level, as data.

Wasm was optimised before it was shipped; what pays most is what its producer could not do:
vectorise, use the machine's instructions, inline across what used to be object files.
"""

from __future__ import annotations

from jitwasm.records import record

__all__ = ["PIPELINES", "Pipeline"]


@record(frozen=True)
class Pipeline:
    """How one optimisation level compiles.

    Attributes:
        codegen: LLVM's code generation level; 0 selects instructions with FastISel, ten times
            faster than what the others use.
        default: run LLVM's `default<O…>` pipeline of this level; None runs `passes` instead.
        passes: single passes in order, by their LLVM class names ("InstCombinePass"), each run
            over the whole unit.
        vectorize: let the default pipeline vectorise loops.
        vectorize_lines: let it vectorise straight-line code.
        unroll: let it unroll loops, apart from what vectorising does.
        inline: up to which cost it inlines; None leaves that to the level.
    """

    codegen: int
    default: int | None = None
    passes: tuple[str, ...] = ()
    vectorize: bool = True
    vectorize_lines: bool = True
    unroll: bool = True
    inline: int | None = None


PIPELINES: tuple[Pipeline, ...] = (
    Pipeline(codegen=0),
    Pipeline(codegen=2, default=1, vectorize_lines=False, unroll=False, inline=50),
    Pipeline(codegen=2, default=2, vectorize_lines=False, unroll=False),
    Pipeline(codegen=3, default=3),
)
"""By optimisation level, 0 to 3. Level 1 is for optimising in the background: it leaves out what
the module's producer has done already."""
