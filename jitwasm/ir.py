"""The data that goes from the frontend to the backend: the LLVM IR of one function.

Functions are emitted one by one and put into LLVM modules (units) later, so the text of a
function refers only to names that every unit defines: the metadata of `PREAMBLE`, the attribute
groups #0 and #1, and functions. Every function, imported or defined, in this unit or not, is
called as `@f<funcidx>(ptr %vmctx, ...)`; a unit gives each callee it does not define a stub of one
jump through the callee's slot.
"""

from __future__ import annotations

from jitwasm.records import record

__all__ = [
    "COLD",
    "FUNCTION_ATTRIBUTES",
    "INVARIANT",
    "LIKELY",
    "PREAMBLE",
    "TBAA_GLOBAL",
    "TBAA_MEMORY",
    "TBAA_TABLE",
    "TBAA_VM",
    "WIDE",
    "FunctionIR",
]

PREAMBLE = """\
!0 = !{!"branch_weights", i32 1, i32 2000}
!1 = !{}
!2 = !{!"jitwasm"}
!3 = !{!"memory", !2, i64 0}
!4 = !{!3, !3, i64 0}
!5 = !{!"vm", !2, i64 0}
!6 = !{!5, !5, i64 0}
!7 = !{!"table", !2, i64 0}
!8 = !{!7, !7, i64 0}
!9 = !{!"global", !2, i64 0}
!10 = !{!9, !9, i64 0}
!11 = !{!"branch_weights", i32 2000, i32 1}
"""
"""Metadata every unit ends with; the constants below are suffixes of instructions."""

COLD = ", !prof !0"
"""On `br i1 %trap, label %cold, label %go`: the first target is unlikely."""
LIKELY = ", !prof !11"
"""On `br i1 %fine, label %go, label %cold`: the first target is likely."""
INVARIANT = ", !invariant.load !1, !tbaa !6"
"""On loads of vmctx fields that never change."""
TBAA_MEMORY = ", !tbaa !4"
"""On accesses to linear memory (all memories: two may be the same one, imported twice)."""
TBAA_VM = ", !tbaa !6"
"""On accesses to vmctx, records and segments that may change (sizes)."""
TBAA_TABLE = ", !tbaa !8"
"""On accesses to table elements."""
TBAA_GLOBAL = ", !tbaa !10"
"""On accesses to cells of globals."""

FUNCTION_ATTRIBUTES = """\
attributes #0 = { uwtable "probe-stack"="inline-asm" "disable-tail-calls"="true" }
attributes #1 = { "prefer-vector-width"="512" }
"""
"""Group #0 is of every function defined from wasm: tables for unwinding, stack probes, and no tail
calls but `musttail` ones: an endless recursion shall exhaust the stack, not become a loop. Group #1
is of those with loops that may be vectorised and that their producer has unrolled: each iteration
fills several lanes already."""

WIDE = "#1 "
"""Before ` #0 {` of a definition."""
SKEWED = "noimplicitfloat "
"""There too, where an access has an offset that is no multiple of its size, or a constant added to
its index makes it so: its loops must not be vectorised. LLVM 22 takes accesses for independent when
they are further apart than the loop strides in all, and forgets that the last one may reach into
the first by a part of its size."""


MOST_TEXT_PER_BYTE = 64
"""Text of a function for each byte of its body beyond which LLVM would take out of proportion
long. The most that 26 real modules have is 32; nested loops with many locals have hundreds."""
FREE_TEXT = 500_000
"""Bytes of text that are never too much."""
MOST_LOOPS = 400
"""Loops of a function; LLVM's passes take time that grows with their square (4 s for so many). The
most that a function of at most 64 KB has in those modules is 182."""


@record(frozen=True)
class FunctionIR:
    """One translated function.

    Attributes:
        funcidx: its index in the module.
        text: its `define ... #0 { ... }`.
        calls: for each function it refers to by `@f<funcidx>`: index -> LLVM function type, such
            as "i32 (ptr, i32)". A function that contains tail calls is defined with the universal
            prototype; `universal` says so, and callers in the same unit must then go through a
            stub or use that prototype.
        declares: LLVM declarations it needs (intrinsics, libcalls), each one line.
        fn_ir: LLVM function type of its own definition.
        body_size: bytes of wasm code, the measure of cost.
        universal: whether it is defined with the universal prototype.
        entered: whether it is the version that begins at a loop, defined as `@o<funcidx>`.
        loops: how many loops it has.
    """

    funcidx: int
    text: str
    calls: dict[int, str]
    declares: frozenset[str]
    fn_ir: str
    body_size: int
    universal: bool = False
    entered: bool = False
    loops: int = 0

    @property
    def is_out_of_proportion(self) -> bool:
        """Whether the body makes so much IR that LLVM is not to see it."""
        return self.loops > MOST_LOOPS or len(self.text) > max(
            FREE_TEXT, MOST_TEXT_PER_BYTE * self.body_size
        )
