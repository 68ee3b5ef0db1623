"""Compile units: some functions of a module, put together to one LLVM module.

An LLVM module costs more than a small function, so functions are batched; a unit is also what
workers take turns at, so it must stay small against the whole. Where units end depends on nothing
but the functions, so equal modules give equal units and equal objects.

A unit defines `f<idx>` for each of its functions, and only those are global symbols. For any other
function that is called it has a *stub*: a local symbol of the same name in module-level assembly,
one jump through the callee's slot in vmctx. The first argument, in %rdi, is the environment; a
stub of an import puts the import's environment there. So a unit refers to no other unit, and its
object may be loaded alone.

A function with tail calls is defined as `u<idx>` with the universal prototype, whose registers are
those of every typed prototype; `f<idx>` is then an alias that LLVM does not look through, and
typed callers may be in the same unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.abi import VMLayout, function_symbol
from jitwasm.digests import digest
from jitwasm.ir import FUNCTION_ATTRIBUTES, PREAMBLE, FunctionIR
from jitwasm.records import record

__all__ = ["CompileUnit", "UnitBuilder", "unit_text"]

MAX_FUNCTIONS = 60
MAX_BODY_BYTES = {0: 8192, 1: 4096, 2: 4096, 3: 4096}
"""Wasm bytes that fill a unit, by optimisation level: some tens of milliseconds at level 0, some
hundreds at the others (a function may be larger; it then has a unit of its own)."""


@record(frozen=True)
class CompileUnit:
    """Functions that are compiled together. Plain data: it pickles.

    Attributes:
        index: its number in the module.
        opt_level: at which it is to be compiled.
        funcidxs: the functions it defines.
        text: LLVM assembly without target triple and data layout.
        body_size: bytes of wasm code, the measure of cost.
    """

    index: int
    opt_level: int
    funcidxs: tuple[int, ...]
    text: str
    body_size: int

    @property
    def digest(self) -> str:
        """Equal for units that compile to equal objects, given equal targets."""
        return digest(self.text.encode()).hex()


class UnitBuilder:
    """Batches functions, in the order they come."""

    def __init__(self, layout: VMLayout, opt_level: int, max_optimized: int | None = None) -> None:
        """Start the units of a module.

        Args:
            layout: of the module's vmctx.
            opt_level: at which units are compiled.
            max_optimized: functions with more bytes of wasm code than this have a unit of their
                own, to be compiled at level 0: LLVM's optimisers take more than linear time.
        """
        self._layout = layout
        self._opt_level = opt_level
        self._max_bytes = MAX_BODY_BYTES[opt_level]
        self._max_optimized = max_optimized
        self._pending: list[FunctionIR] = []
        self._pending_bytes = 0
        self._count = 0

    def add(self, function: FunctionIR) -> list[CompileUnit]:
        """Add a function; the units that are full now."""
        if self._max_optimized is not None and function.body_size > self._max_optimized:
            return [*self.flush(), self._unit([function], 0)]
        self._pending.append(function)
        self._pending_bytes += function.body_size
        if self._pending_bytes >= self._max_bytes or len(self._pending) >= MAX_FUNCTIONS:
            return self.flush()
        return []

    def flush(self) -> list[CompileUnit]:
        """A unit of what is left, if anything is."""
        if not self._pending:
            return []
        functions, self._pending, self._pending_bytes = self._pending, [], 0
        return [self._unit(functions, self._opt_level)]

    def _unit(self, functions: Sequence[FunctionIR], opt_level: int) -> CompileUnit:
        self._count += 1
        return CompileUnit(
            index=self._count - 1,
            opt_level=opt_level,
            funcidxs=tuple(function.funcidx for function in functions),
            text=unit_text(functions, self._layout),
            body_size=sum(function.body_size for function in functions),
        )


def unit_text(functions: Sequence[FunctionIR], layout: VMLayout) -> str:
    """One LLVM module that defines these functions and stubs for all others they call."""
    whole = [function for function in functions if not function.entered]
    defined = {function.funcidx for function in whole if not function.universal}
    universal = {function.funcidx for function in whole if function.universal}
    called = {i: fn_ir for function in functions for i, fn_ir in function.calls.items()}
    declared = {i: fn_ir for i, fn_ir in called.items() if i not in defined}
    assembly = [_alias(funcidx) for funcidx in sorted(universal)]
    assembly += [_stub(i, layout) for i in sorted(declared.keys() - universal)]
    return "\n".join(
        [
            *(f'module asm "{line}"' for line in assembly),
            *sorted(frozenset().union(*(function.declares for function in functions))),
            *(_declare(funcidx, fn_ir) for funcidx, fn_ir in sorted(declared.items())),
            *(_local(function.text) for function in functions),
            FUNCTION_ATTRIBUTES,
            PREAMBLE,
        ]
    )


def _alias(funcidx: int) -> str:
    symbol = function_symbol(funcidx)
    return f".globl {symbol}; .type {symbol},@function; .set {symbol}, u{funcidx}"


def _stub(funcidx: int, layout: VMLayout) -> str:
    symbol, slot = function_symbol(funcidx), layout.call_slot(funcidx)
    if funcidx < layout.imported_functions:
        jump = f"movq {slot}(%rdi), %rax; movq {slot + 8}(%rdi), %rdi; jmpq *%rax"
    else:
        jump = f"jmpq *{slot}(%rdi)"
    return f"{symbol}: {jump}"


def _declare(funcidx: int, fn_ir: str) -> str:
    result, parameters = _split_function_type(fn_ir)
    return f"declare dso_local {result} @{function_symbol(funcidx)}({parameters}"


def _split_function_type(fn_ir: str) -> tuple[str, str]:
    """The result, and the parameters with the closing parenthesis, of "i32 (ptr, i64)"."""
    result, _, parameters = fn_ir.rpartition(" (")
    return result, parameters


def _local(definition: str) -> str:
    """Calls to a definition that another object cannot replace need no relocation."""
    return definition.replace("define ", "define dso_local ", 1)
