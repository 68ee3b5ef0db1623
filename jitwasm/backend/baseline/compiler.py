"""The baseline compiler: one function's body to machine code."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

from jitwasm.backend.baseline import (
    calls,
    control,
    conversions,
    floats,
    integers,
    memory,
    references,
    simd,
    simd_memory,
    variables,
)
from jitwasm.backend.baseline.allocator import Unsupported
from jitwasm.backend.baseline.direct import COMPILED, kinds_of, run_direct
from jitwasm.backend.baseline.fuel import Meter, run_metered
from jitwasm.backend.baseline.function import TRAP_BYTES, FunctionCompiler, Handler
from jitwasm.backend.baseline.isa import InstructionSet, instruction_set
from jitwasm.backend.baseline.loopexit import leave_loop
from jitwasm.backend.baseline.operands import CONST, I32, PAYLOAD
from jitwasm.backend.baseline.program import InstructionRow, Program
from jitwasm.backend.baseline.prologue import place_locals
from jitwasm.backend.processor import FEATURES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from jitwasm.backend.baseline.declarations import Declarations

__all__ = ["BaselineCompiler", "Unsupported"]


@cache
def _handlers(isa: InstructionSet) -> dict[str, Handler]:
    return {
        **control.ROWS,
        **variables.ROWS,
        **integers.rows_of(isa),
        **floats.rows_of(isa),
        **conversions.rows_of(isa),
        **memory.rows_of(isa),
        **calls.ROWS,
        **references.ROWS,
        **simd.rows_of(isa),
        **simd_memory.rows_of(isa),
    }


def _unsupported(f: FunctionCompiler, pos: int, mnemonic: str) -> int:
    raise Unsupported(mnemonic)


def _prefixed(f: FunctionCompiler, pos: int, rows: dict[int, Handler]) -> int:
    sub, pos = f.u32(pos)
    handler, row = rows[sub]
    result: int = handler(f, pos, row)
    return result


@cache
def _entries(rows: tuple[InstructionRow, ...], isa: InstructionSet) -> tuple[Handler, ...]:
    handlers = _handlers(isa)
    by_byte: list[Handler] = [(_unsupported, "an unknown instruction")] * 256
    prefixed: dict[int, dict[int, Handler]] = {}
    for code, mnemonic, _ in rows:
        entry = handlers.get(mnemonic, (_unsupported, mnemonic))
        if code < 0x100:
            by_byte[code] = entry
        else:
            prefixed.setdefault(code >> 12, {})[code & 0xFFF] = entry
    for prefix, subs in prefixed.items():
        by_byte[prefix] = (_prefixed, subs)
    return tuple(by_byte)


GUARDED_BYTES: Final = 1 << 14
"""Bodies from here on are compiled with bounds on the following."""
MAX_HEIGHT: Final = 1000
"""Operands on the stack: branches and assignments look through all of them."""
MAX_EXPANSION: Final = 64
"""Bytes of machine code for each of the body: a branch may move a thousand results."""
UNBOUNDED: Final = 1 << 60


class BaselineCompiler:
    """Compiles the functions of one module, in any order."""

    def __init__(
        self,
        declarations: Declarations,
        explicit: bool,
        rows: Sequence[InstructionRow],
        features: frozenset[str] = FEATURES,
        meter: Meter | None = None,
        limits_stack: bool = False,
    ) -> None:
        """Prepare for a module.

        Args:
            declarations: its index spaces.
            explicit: check memory accesses by comparisons.
            rows: the instruction table.
            features: those of `processor.FEATURES` that the processor has.
            meter: charge what runs to the instance's fuel.
            limits_stack: compare the stack pointer with the thread's `stack_floor`.
        """
        self._meter = meter
        isa = instruction_set(features)
        self._program = Program(declarations, explicit, rows, isa)
        self._program.limits_stack = limits_stack
        self._program.entries = _entries(tuple(rows), isa)
        self._program.kinds = kinds_of(self._program.entries)

    def compile(
        self, funcidx: int, code: bytes, positions: list[tuple[int, int]] | None = None
    ) -> bytes:
        """Machine code for a valid body (local declarations and code).

        Args:
            positions: filled with (offset in the result, position in the body), in order.

        Raises:
            Unsupported: the body contains what this tier does not cover.
        """
        f, pos = self._begin(funcidx, code)
        self._run(f, pos, positions)
        result = f.finish()
        if positions is not None:
            places = [at for at, _ in positions]
            for i, (jump, _) in enumerate(f.traps):
                cause = positions[bisect_right(places, jump) - 1][1]
                positions.append((f.stubs + TRAP_BYTES * i, cause))
            positions[:] = [(at + f.head, pos) for at, pos in positions]
        return result

    def loop_exit(self, funcidx: int, code: bytes, target: int) -> bytes:
        """Code that leaves the function at a loop's `ENTRY_MARK` for the code at `target`, with
        its locals in the overflow area (see abi.entry_symbol)."""
        f, pos = self._begin(funcidx, code)
        self._run(f, pos, None)
        f.finish()
        return leave_loop(f, target)

    def _begin(self, funcidx: int, code: bytes) -> tuple[FunctionCompiler, int]:
        f = FunctionCompiler(self._program, funcidx, code)
        pos = self._read_locals(f)
        place_locals(f, pos)
        control.start_function(f)
        return f, pos

    def _run(self, f: FunctionCompiler, pos: int, positions: list[tuple[int, int]] | None) -> None:
        code = f.code
        if self._meter is not None:
            most = MAX_EXPANSION * max(len(code), GUARDED_BYTES)
            run_metered(f, pos, self._meter, positions, MAX_HEIGHT, most)
        elif positions is None:
            if COMPILED:
                long = len(code) > GUARDED_BYTES
                most = MAX_EXPANSION * len(code) if long else UNBOUNDED
                run_direct(f, pos, MAX_HEIGHT if long else UNBOUNDED, most)
            elif len(code) > GUARDED_BYTES:
                _run_guarded(f, pos)
            else:
                _run(f, pos)
        else:
            _run_recording(f, pos, positions)

    def _read_locals(self, f: FunctionCompiler) -> int:
        f.types.extend(type_ for type_, _, _ in f.plan.params)
        count, pos = f.u32(0)
        for _ in range(count):
            times, pos = f.u32(pos)
            byte = f.code[pos]
            pos += 1
            if byte in (0x63, 0x64):
                _, pos = f.signed(pos)
            f.types.extend([_TYPE_BYTES.get(byte, 1)] * times)
        return pos


_CONSTANTS: Final = [
    (byte - (byte << 1 & 0x80)) << PAYLOAD | I32 << 3 | CONST for byte in range(0x80)
]
"""The operands of `i32.const` by its one byte."""
_TYPE_BYTES: Final = {0x7F: 0, 0x7E: 1, 0x7D: 2, 0x7C: 3, 0x7B: 4}


def _run(f: FunctionCompiler, pos: int) -> None:
    """Compile instruction by instruction; the two most frequent ones are done here."""
    entries = f.program.entries
    code, stack, frames, locals_ = f.code, f.stack, f.frames, f.locals
    constants = _CONSTANTS
    while frames:
        opcode = code[pos]
        if opcode == 0x20:  # local.get
            local = code[pos + 1]
            if local < 0x80:
                stack.append(locals_[local])
                pos += 2
                continue
        elif opcode == 0x41:  # i32.const
            byte = code[pos + 1]
            if byte < 0x80:
                stack.append(constants[byte])
                pos += 2
                continue
        handler, row = entries[opcode]
        pos = handler(f, pos + 1, row)


def _run_guarded(f: FunctionCompiler, pos: int) -> None:
    """The same for long bodies, with bounds on what could take more than linear time or space."""
    entries = f.program.entries
    code, stack, frames, out = f.code, f.stack, f.frames, f.out
    most = MAX_EXPANSION * len(code)
    while frames:
        handler, row = entries[code[pos]]
        pos = handler(f, pos + 1, row)
        if len(stack) > MAX_HEIGHT or len(out) > most:
            raise Unsupported("a stack too tall or code too long")


def _run_recording(f: FunctionCompiler, pos: int, positions: list[tuple[int, int]]) -> None:
    entries = f.program.entries
    while f.frames:
        positions.append((len(f.out), pos))
        handler, row = entries[f.code[pos]]
        pos = handler(f, pos + 1, row)
