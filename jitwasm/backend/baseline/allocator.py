"""The abstract value stack and the registers: where operands are, and how they get elsewhere.

Operands that a handler has popped keep their register until it is given back with `release`, so
that nothing allocated meanwhile takes it. Only operands on the stack are ever spilled.
"""

from __future__ import annotations

from jitwasm.backend.baseline.assembler import INSTRUCTIONS, imm32, move_immediate
from jitwasm.backend.baseline.isa import InstructionSet
from jitwasm.backend.baseline.operands import (
    CONST,
    F32,
    F64,
    I32,
    I64,
    KIND,
    LOCAL,
    PAYLOAD,
    REG,
    SLOT,
    TEMP_MASK,
    V128,
    XMM,
    XMM_MASK,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from mypy_extensions import i64

__all__ = ["CONSTANT_BYTES", "LOWEST", "Allocator", "Unsupported"]

MOV64: Final = INSTRUCTIONS["mov64"].rr
STORE32I: Final = INSTRUCTIONS["store32i"].rf
STORE64I: Final = INSTRUCTIONS["store64i"].rf
PUSH: Final = INSTRUCTIONS["push"]
POP: Final = INSTRUCTIONS["pop"]
LOWEST: Final = tuple([(mask & -mask).bit_length() - 1 for mask in range(1 << 10)])
"""The lowest register of a mask of temporary ones."""
CONSTANT_BYTES: Final = {F32: 4, F64: 8, V128: 16}
_CONSTANT_LOADS: Final = {F32: "load_f32", F64: "load_f64", V128: "load_v128"}


class Unsupported(Exception):
    """The function contains something that this tier does not cover."""


class Allocator:
    """State of the function being compiled, as far as values are concerned.

    Attributes:
        isa: the instructions of the processor.
        out: the code so far, without the prologue.
        stack: the operands (see operands.py).
        free, xfree: masks of the temporary registers not in use.
        slot_base, slot_size: where slots lie: `slot_base - slot_size * position` from rbp.
        max_height: highest position that has been spilled.
        types: type codes of the locals.
        pins: for each local, the register it has for good, or -1.
        saved: those of them that the function has to preserve.
        homes: for each local, the offset of its place in the frame.
        locals: for each local, its `LOCAL` operand.
    """

    __slots__ = (
        "free",
        "homes",
        "isa",
        "literals",
        "locals",
        "max_height",
        "out",
        "pins",
        "saved",
        "slot_base",
        "slot_size",
        "stack",
        "types",
        "xfree",
    )

    def __init__(self, isa: InstructionSet) -> None:
        self.isa = isa
        self.out = bytearray()
        self.stack: list[int] = []
        self.free: i64 = TEMP_MASK
        self.xfree: i64 = XMM_MASK
        self.slot_base: int = 0
        self.slot_size: int = 8
        self.max_height: int = -1
        self.types: list[int] = []
        self.pins: list[int] = []
        self.saved: list[int] = []
        self.homes: list[int] = []
        self.locals: list[int] = []
        self.literals: list[tuple[int, int]] = []

    # -- registers -------------------------------------------------------------------------------

    def tmp(self) -> int:
        """Take a temporary register."""
        if not self.free:
            self._spill_one(REG, TEMP_MASK)
        free = self.free
        self.free = free & (free - 1)
        return LOWEST[free]

    def tmp_except(self, taboo: int) -> int:
        """Take one that is not in the mask `taboo`."""
        if not self.free & ~taboo:
            self._spill_one(REG, TEMP_MASK & ~taboo)
        reg = LOWEST[self.free & ~taboo]
        self.free &= ~(1 << reg)
        return reg

    def xtmp(self) -> int:
        """Take a temporary vector register."""
        if not self.xfree:
            self._spill_one(XMM, XMM_MASK)
        free = self.xfree
        self.xfree = free & (free - 1)
        return LOWEST[free]

    def take(self, reg: int) -> None:
        """Take this register; if an operand on the stack has it, that is spilled."""
        if not self.free >> reg & 1:
            stack = self.stack
            for i in range(len(stack)):
                if stack[i] & KIND == REG and stack[i] >> PAYLOAD == reg:
                    self.spill(i)
                    break
        self.free &= ~(1 << reg)

    def xtake(self, reg: int) -> None:
        """The same for a vector register."""
        if not self.xfree >> reg & 1:
            stack = self.stack
            for i in range(len(stack)):
                if stack[i] & KIND == XMM and stack[i] >> PAYLOAD == reg:
                    self.spill(i)
                    break
        self.xfree &= ~(1 << reg)

    def drop(self, reg: int) -> None:
        """Give a register back, if it is a temporary one."""
        self.free |= 1 << reg & TEMP_MASK

    def xdrop(self, reg: int) -> None:
        if reg < 8:
            self.xfree |= 1 << reg

    def release(self, operand: int) -> None:
        """Give back the register of an operand that has been used."""
        kind = operand & KIND
        if kind == REG:
            self.free |= 1 << (operand >> PAYLOAD)
        elif kind == XMM:
            self.xfree |= 1 << (operand >> PAYLOAD)

    # -- spilling --------------------------------------------------------------------------------

    def _spill_one(self, kind: int, mask: int) -> None:
        stack = self.stack
        for i in range(len(stack)):
            if stack[i] & KIND == kind and mask >> (stack[i] >> PAYLOAD) & 1:
                self.spill(i)
                return
        raise Unsupported("too many operands at once")

    def slot(self, position: int) -> int:
        """The frame offset of a stack position's slot, which will be written."""
        if position > self.max_height:
            self.max_height = position
        return self.slot_base - self.slot_size * position

    def spill(self, position: int) -> None:
        """Bring an operand on the stack to its slot, unless it is a constant."""
        operand = self.stack[position]
        kind, type_ = operand & KIND, operand >> 3 & 7
        if kind in (CONST, SLOT):
            return
        self.store(self.slot(position), operand)
        self.release(operand)
        self.stack[position] = position << PAYLOAD | type_ << 3 | SLOT

    def spill_below(self, height: int) -> None:
        """Spill all operands under a height, values of locals too."""
        stack = self.stack
        for i in range(height):
            if stack[i] & KIND not in (CONST, SLOT):
                self.spill(i)

    def spill_registers(self, height: int) -> None:
        """Spill the operands under a height that are in registers of their own."""
        stack = self.stack
        for i in range(height):
            kind = stack[i] & KIND
            if REG <= kind <= XMM:
                self.spill(i)

    def materialise(self, local: int) -> None:
        """Read a local for the operands that stand for its value, before it changes."""
        stack = self.stack
        for i in range(len(stack)):
            if stack[i] == local:
                type_ = local >> 3 & 7
                if type_ < 2:
                    reg = self.tmp()
                    self.load(reg, local)
                    stack[i] = reg << PAYLOAD | type_ << 3 | REG
                else:
                    reg = self.xtmp()
                    self.xload(reg, local)
                    stack[i] = reg << PAYLOAD | type_ << 3 | XMM

    # -- moving ----------------------------------------------------------------------------------

    def load(self, reg: int, operand: int) -> None:
        """Copy an integer operand to a register. Leaves the flags alone."""
        kind, payload = operand & KIND, operand >> PAYLOAD
        if kind == REG:
            if payload != reg:
                self.out += MOV64[reg << 4 | payload]
        elif kind == CONST:
            self.out += move_immediate(reg, payload, operand >> 3 & 1 == I64)
        elif kind == LOCAL:
            pin = self.pins[payload]
            if pin < 0:
                form = self.isa.frame_load[operand >> 3 & 7]
                self.out += form[self.homes[payload] << 4 | reg]
            elif pin != reg:
                self.out += MOV64[reg << 4 | pin]
        else:
            at = self.slot_base - self.slot_size * payload
            self.out += self.isa.frame_load[operand >> 3 & 7][at << 4 | reg]

    def xload(self, reg: int, operand: int) -> None:
        """Copy a float or vector operand to a register. Leaves the flags alone."""
        kind, payload, type_ = operand & KIND, operand >> PAYLOAD, operand >> 3 & 7
        if kind == XMM:
            if payload != reg:
                self.out += self.isa.movaps[reg << 4 | payload]
        elif kind == LOCAL:
            pin = self.pins[payload]
            if pin < 0:
                self.out += self.isa.frame_load[type_][self.homes[payload] << 4 | reg]
            elif pin != reg:
                self.out += self.isa.movaps[reg << 4 | pin]
        elif kind == CONST:
            self._xload_constant(reg, payload, type_)
        else:
            at = self.slot_base - self.slot_size * payload
            self.out += self.isa.frame_load[type_][at << 4 | reg]

    def _xload_constant(self, reg: int, bits: int, type_: int) -> None:
        """Zeros by an instruction, other constants from literals behind the code."""
        if not bits:
            self.out += self.isa.xorps[reg << 8 | reg << 4 | reg]
            return
        self.out += self.isa[_CONSTANT_LOADS[type_]].vl[reg]
        self.literal(bits, CONSTANT_BYTES[type_])

    def literal(self, bits: int, size: int) -> None:
        """A rip-relative displacement, the instruction's last four bytes, to a literal."""
        self.literals.append((len(self.out), bits << 5 | size))
        self.out += b"\0\0\0\0"

    def reg(self, operand: int) -> int:
        """A register that holds an integer operand; it is read only."""
        kind = operand & KIND
        if kind == REG:
            return operand >> PAYLOAD
        if kind == LOCAL:
            pin = self.pins[operand >> PAYLOAD]
            if pin >= 0:
                return pin
        reg = self.tmp()
        self.load(reg, operand)
        return reg

    def own(self, operand: int) -> int:
        """A temporary register that holds an integer operand and may be changed."""
        if operand & KIND == REG:
            return operand >> PAYLOAD
        reg = self.tmp()
        self.load(reg, operand)
        return reg

    def xreg(self, operand: int) -> int:
        """A register that holds a float or vector operand; it is read only."""
        kind = operand & KIND
        if kind == XMM:
            return operand >> PAYLOAD
        if kind == LOCAL:
            pin = self.pins[operand >> PAYLOAD]
            if pin >= 0:
                return pin
        reg = self.xtmp()
        self.xload(reg, operand)
        return reg

    def store(self, at: int, operand: int) -> None:
        """Copy an operand to a place in the frame. Changes no register and no flag."""
        kind, payload, type_ = operand & KIND, operand >> PAYLOAD, operand >> 3 & 7
        out = self.out
        if REG <= kind <= XMM:
            out += self.isa.frame_store[type_][at << 4 | payload]
        elif kind == CONST:
            self._store_constant(at, payload, type_)
        else:
            if kind == LOCAL:
                pin = self.pins[payload]
                if pin >= 0:
                    out += self.isa.frame_store[type_][at << 4 | pin]
                    return
                source = self.homes[payload]
            else:
                source = self.slot_base - self.slot_size * payload
            if source != at:
                for part in (0, 8) if type_ == V128 else (0,):
                    out += PUSH.rf[(source + part) << 4]
                    out += POP.rf[(at + part) << 4]

    def _store_constant(self, at: int, value: int, type_: int) -> None:
        out = self.out
        if type_ in (I32, F32):
            out += STORE32I[at << 4] + imm32(value)
        elif type_ == I64 and -0x80000000 <= value < 0x80000000:
            out += STORE64I[at << 4] + imm32(value)
        else:
            for part in range(0, 16 if type_ == V128 else 8, 4):
                out += STORE32I[(at + part) << 4] + imm32(value >> 8 * part)

    def push_reg(self, type_: int, reg: int) -> None:
        self.stack.append(reg << PAYLOAD | type_ << 3 | REG)

    def push_xmm(self, type_: int, reg: int) -> None:
        self.stack.append(reg << PAYLOAD | type_ << 3 | XMM)
