"""Which instructions code may use, and in which encodings: by the features of the processor.

The floor (`processor.FLOOR`) is x86-64-v2: SSE4.2, SSSE3 and POPCNT, which processors have had
since 2009 and current distributions demand. Below it vectors would need sequences for most of their
instructions; such machines, and emulators of them, are left to LLVM. Above it each feature counts
by itself:

    avx     three operands instead of two; without it the table's VEX encodings are written as
            they were before, with a move where the target is no source (`Spec.legacy`)
    avx2    pbroadcast from registers and of bytes and words
    bmi1    tzcnt;  bmi2: shlx, sarx, shrx;  lzcnt;  fma
"""

from __future__ import annotations

from functools import cache

from jitwasm.backend.baseline.assembler import (
    ENCODINGS,
    INSTRUCTIONS,
    SCRATCH,
    Instruction,
    Table,
)
from jitwasm.backend.processor import FEATURES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["InstructionSet", "instruction_set"]

XMM_PINS: Final = tuple(range(8, SCRATCH + 1))
"""The last of them is a scratch register of two-operand code."""

_REQUIRED: Final = {
    "pbroadcast": "avx2",
    "fmadd": "fma",
    "fnmadd": "fma",
    "shlx": "bmi2",
    "sarx": "bmi2",
    "shrx": "bmi2",
    "lzcnt": "lzcnt",
    "tzcnt": "bmi1",
}
_ENCODINGS: Final = {name: encoding for name, encoding, _, _ in ENCODINGS}
_VEX_ONLY: Final = ("blendv", "pblendv")
"""Their older forms have a register of their own."""


def _required(name: str) -> str:
    return next((feature for start, feature in _REQUIRED.items() if name.startswith(start)), "")


class InstructionSet:
    """The instructions of a processor.

    Attributes:
        features: those of `FEATURES` that it has.
        table: instructions by name; KeyError for those that it does not have.
        avx: whether there are VEX encodings.
        pins: vector registers that may hold locals.
        loads, stores: by type code, in the form `rb`; frame_load, frame_store: in the form `rf`.
        movaps, xorps, …: the forms with registers of those that are used most.
    """

    def __init__(self, features: frozenset[str]) -> None:
        self.features = features
        self.avx: bool = "avx" in features
        self.pins: tuple[int, ...] = XMM_PINS if self.avx else XMM_PINS[:-1]
        self.table: dict[str, Instruction] = Table(self._make)
        table = self.table
        loads = [table[n] for n in ("mov32", "mov64", "load_f32", "load_f64", "load_v128")]
        stores = [table[n] for n in ("store32", "store64", "store_f32", "store_f64", "store_v128")]
        self.loads: list[dict[int, bytes]] = [op.rb for op in loads]
        self.stores: list[dict[int, bytes]] = [op.rb for op in stores]
        self.frame_load: list[dict[int, bytes]] = [op.rf for op in loads]
        self.frame_store: list[dict[int, bytes]] = [op.rf for op in stores]
        self.movaps: dict[int, bytes] = table["movaps"].rr
        self.xorps: dict[int, bytes] = table["xorps"].rr
        self.andps: dict[int, bytes] = table["andps"].rr
        self.andnps: dict[int, bytes] = table["andnps"].rr
        self.orps: dict[int, bytes] = table["orps"].rr
        self.pcmpeqd: dict[int, bytes] = table["pcmpeqd"].rr
        self.ptest: dict[int, bytes] = table["ptest"].rr
        self.movd_to: dict[int, bytes] = table["movd_to"].rr
        self.movd_from: dict[int, bytes] = table["movd_from"].rr

    def has(self, name: str) -> bool:
        """Whether the processor has an instruction."""
        if name not in _ENCODINGS:
            return False
        required = _required(name)
        if required and required not in self.features:
            return False
        return self._is_plain(name) or (not required and not name.startswith(_VEX_ONLY))

    def _is_plain(self, name: str) -> bool:
        """Whether it is encoded as the table says."""
        return self.avx or _required(name) == "bmi2" or not _ENCODINGS[name].startswith("VEX")

    def _make(self, name: str) -> Instruction:
        if not self.has(name):
            raise KeyError(name)
        return INSTRUCTIONS[name] if self._is_plain(name) else Instruction(name, legacy=True)

    def __getitem__(self, name: str) -> Instruction:
        return self.table[name]


@cache
def instruction_set(features: frozenset[str]) -> InstructionSet:
    """The one with these features."""
    known = features & FEATURES
    # Those two have VEX encodings for vectors only.
    return InstructionSet(known if "avx" in known else known - {"avx2", "fma"})
