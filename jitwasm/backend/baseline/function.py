"""FunctionCompiler: the state of one function's compilation, its frames, jumps and traps.

Layout of a function: prologue, body, epilogue, traps, literals. The prologue is written last, when
the frame's size and the registers used are known. Nothing in the body depends on its length.

    rbp + 8             return address
    rbp                 caller's rbp
    rbp - 8 …           r15, r14, rbx, r12, r13: where used
    homes               of locals without a register, and of those whose register calls clobber
    slots               of stack positions, downwards

Where control flow merges, all operands below the frame's height are in their slots or constants;
a single result is in rax or xmm0, several are in their slots.
"""

from __future__ import annotations

from struct import Struct

from jitwasm.backend.baseline import prologue
from jitwasm.backend.baseline.allocator import Allocator
from jitwasm.backend.baseline.assembler import (
    INSTRUCTIONS,
    MEMORY,
    RAX,
    VMCTX,
    imm32,
)
from jitwasm.backend.baseline.moves import parallel_move
from jitwasm.backend.baseline.operands import (
    INT_RESULTS,
    KIND,
    PAYLOAD,
    SLOT,
    TEMP_MASK,
    V128,
    XMM_MASK,
)
from jitwasm.backend.baseline.program import FLOAT, INT, CallPlan, Program
from jitwasm.trapcodes import TrapCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

__all__ = [
    "BLOCK",
    "ELSE",
    "FUNCTION",
    "IF",
    "JCC_UNKNOWN",
    "LOOP",
    "TRAP_BYTES",
    "Frame",
    "FunctionCompiler",
    "Handler",
]

FUNCTION: Final = 0
BLOCK: Final = 1
LOOP: Final = 2
IF: Final = 3
ELSE: Final = 4
MOV64B: Final = INSTRUCTIONS["mov64"].rb
JCC: Final = tuple(bytes([0x0F, 0x80 | cc]) for cc in range(16))
_PUT32: Final = Struct("<I").pack_into
JCC_UNKNOWN: Final = tuple(code + bytes(4) for code in JCC)


class Frame:
    """A control frame.

    Attributes:
        kind: FUNCTION, BLOCK, LOOP, IF or ELSE.
        height: operands below it.
        params, results: type codes.
        position: of a loop's header in the code.
        jumps: where displacements to its end are to be filled in.
        entries: the same for jump tables: (where, position of the table).
        otherwise: of an `if`: the displacement to its else branch; else -1.
        start: of an `if`: its parameters' operands.
    """

    __slots__ = (
        "entries",
        "height",
        "jumps",
        "kind",
        "otherwise",
        "params",
        "position",
        "results",
        "start",
    )

    def __init__(
        self, kind: int, height: int, params: tuple[int, ...], results: tuple[int, ...]
    ) -> None:
        self.kind = kind
        self.height = height
        self.params = params
        self.results = results
        self.position: int = 0
        # Most frames have none, and three lists take longer to make than the rest.
        self.jumps: list[int] | None = None
        self.entries: list[tuple[int, int]] | None = None
        self.otherwise: int = -1
        self.start: list[int] | None = None

    def await_end(self, at: int) -> None:
        """The displacement at `at` is to lead to the frame's end."""
        if self.jumps is None:
            self.jumps = [at]
        else:
            self.jumps.append(at)


class FunctionCompiler(Allocator):
    """One function being compiled.

    Attributes:
        program: the module.
        code: the body.
        plan: how it is called.
        frames: control frames, the function's own first.
        dead: whether the present position cannot be reached.
        short_locals: locals below it can be recognised by one byte and have a place in `pins`.
        uses_memory: whether memory 0's base register is used.
        save, restore: code around calls for the pins that they clobber.
        traps: (displacement of a jump, trap code).
        tails: the same for tail calls: what follows once the frame has gone.
        exits: jumps to the epilogue, once the body has been compiled.
        flags_at, flags_reg: a place in the code where the flags tell whether a register is zero.
        head: length of the prologue, likewise.
        stubs: where the code of `traps` begins, without the prologue.
    """

    def __init__(self, program: Program, funcidx: int, code: bytes) -> None:
        super().__init__(program.isa)
        self.program = program
        self.code = code
        self.plan: CallPlan = program.plans[funcidx]
        self.frames: list[Frame] = []
        self.dead: bool = False
        self.short_locals: int = 0
        self.uses_memory: bool = False
        self.save: bytes = b""
        self.restore: bytes = b""
        self.traps: list[tuple[int, int]] = []
        self.tails: list[tuple[int, bytes]] = []
        self.exits: list[int] | None = None
        self.head: int = 0
        self.flags_at: int = -1
        self.flags_reg: int = 0
        self.stubs: int = 0

    # -- immediates ------------------------------------------------------------------------------

    def u32(self, pos: int) -> tuple[int, int]:
        """An unsigned integer and the position behind it."""
        code = self.code
        byte = code[pos]
        if byte < 0x80:
            return byte, pos + 1
        result, shift = byte & 0x7F, 7
        while True:
            pos += 1
            byte = code[pos]
            if byte < 0x80:
                return result | byte << shift, pos + 1
            result |= (byte & 0x7F) << shift
            shift += 7

    def signed(self, pos: int) -> tuple[int, int]:
        """A signed integer and the position behind it."""
        start = pos
        value, pos = self.u32(pos)
        bits = 7 * (pos - start)
        return value - (value >> bits - 1 << bits), pos

    # -- flags ------------------------------------------------------------------------------------

    def note_flags(self, reg: int, says_zero: bool) -> None:
        """The last instruction has set a register; `says_zero`: and the zero flag accordingly."""
        if says_zero:
            self.flags_at = len(self.out)
            self.flags_reg = reg

    def has_zero_flag(self, reg: int) -> bool:
        """Whether the zero flag already tells about this register."""
        return self.flags_at == len(self.out) and self.flags_reg == reg

    def forget_flags(self) -> None:
        """Control may come from elsewhere."""
        self.flags_at = -1

    # -- jumps and traps -------------------------------------------------------------------------

    def jump(self, frame: Frame) -> None:
        out = self.out
        if frame.kind == LOOP:
            distance = frame.position - len(out) - 2
            if distance >= -128:
                out += bytes([0xEB, distance & 0xFF])
            else:
                out += b"\xe9" + imm32(distance - 3)
        else:
            out += b"\xe9\0\0\0\0"
            frame.await_end(len(out) - 4)

    def jump_if(self, cc: int, frame: Frame) -> None:
        out = self.out
        if frame.kind == LOOP:
            distance = frame.position - len(out) - 2
            if distance >= -128:
                out += bytes([0x70 | cc, distance & 0xFF])
            else:
                out += JCC[cc] + imm32(distance - 4)
        else:
            out += JCC_UNKNOWN[cc]
            frame.await_end(len(out) - 4)

    def patch(self, at: int) -> None:
        """Let the displacement at `at` lead here."""
        out = self.out
        _PUT32(out, at, len(out) - at - 4)

    def skip_if(self, cc: int) -> int:
        """A short jump forward; give what is returned to `land`."""
        self.out += bytes([0x70 | cc, 0])
        return len(self.out)

    def skip(self) -> int:
        self.out += b"\xeb\0"
        return len(self.out)

    def land(self, at: int) -> None:
        """A short jump leads here."""
        distance = len(self.out) - at
        assert distance < 128
        self.out[at - 1] = distance

    def trap_if(self, cc: int, code: TrapCode) -> None:
        self.out += JCC_UNKNOWN[cc]
        self.traps.append((len(self.out) - 4, code))

    def trap(self, code: TrapCode) -> None:
        self.out += trap_instruction(code)

    # -- results ---------------------------------------------------------------------------------

    def move_results(self, frame: Frame) -> None:
        """Bring what a branch to the frame takes along to where it is expected.

        Changes nothing but the code, so that it may stand on a conditional path.
        """
        if frame.kind == FUNCTION:
            self._move_returned()
            return
        types = frame.params if frame.kind == LOOP else frame.results
        count = len(types)
        if not count:
            return
        stack = self.stack
        if count == 1 and frame.kind != LOOP:
            if types[0] < 2:
                self.load(RAX, stack[-1])
            else:
                self.xload(0, stack[-1])
            return
        base = len(stack) - count
        for i in range(count):
            self.store(self.slot(frame.height + i), stack[base + i])

    def _move_returned(self) -> None:
        plan = self.plan
        count = len(plan.results)
        if not count:
            return
        operands = self.stack[len(self.stack) - count :]
        if plan.overflow_results:
            self.uses_memory = True  # r14 is free here, as the epilogue restores it
            self.out += MOV64B[VMCTX << 4 | MEMORY]
        ints: list[tuple[int, int]] = []
        floats: list[tuple[int, int]] = []
        for operand, (_, where, number) in zip(operands, plan.results, strict=True):
            if where == INT:
                ints.append((INT_RESULTS[number], operand))
            elif where == FLOAT:
                floats.append((number, operand))
            else:
                self.store_far(MEMORY, 16 * number, operand)
        parallel_move(self, ints, floats)

    def store_far(self, base: int, disp: int, operand: int) -> None:
        """Copy an operand to memory outside the frame; changes no register."""
        kind, payload, type_ = operand & KIND, operand >> PAYLOAD, operand >> 3 & 7
        key = disp << 4 | base
        if kind == 1 or kind == 2:
            self.out += self.isa.stores[type_][key << 4 | payload]
            return
        if kind == 3 and self.pins[payload] >= 0:
            self.out += self.isa.stores[type_][key << 4 | self.pins[payload]]
            return
        if kind == 0:
            store = INSTRUCTIONS["store32i"].rb
            for part in range(0, {0: 4, 2: 4, V128: 16}.get(type_, 8), 4):
                word = payload >> 8 * part
                self.out += store[((disp + part) << 4 | base) << 4] + imm32(word)
            return
        source = self.homes[payload] if kind == 3 else self.slot_base - self.slot_size * payload
        for part in (0, 8) if type_ == V128 else (0,):
            self.out += INSTRUCTIONS["push"].rf[(source + part) << 4]
            self.out += INSTRUCTIONS["pop"].rb[((disp + part) << 4 | base) << 4]

    def reset(self, height: int) -> None:
        """Forget the operands above a height, and all registers: all others are in slots."""
        if len(self.stack) > height:
            del self.stack[height:]
        self.free = TEMP_MASK
        self.xfree = XMM_MASK

    def push_slots(self, types: tuple[int, ...]) -> None:
        stack = self.stack
        for type_ in types:
            stack.append(len(stack) << PAYLOAD | type_ << 3 | SLOT)

    # -- the whole -------------------------------------------------------------------------------

    def finish(self) -> bytes:
        """The function's code, once its body has been compiled."""
        out = self.out
        if self.exits is not None:
            for at in self.exits:
                self.patch(at)
        leave = prologue.leave(self)
        out += leave + b"\xc3"
        for at, transfer in self.tails:
            self.patch(at)
            out += leave + transfer
        self.stubs = len(out)
        for at, code in self.traps:
            self.patch(at)
            out += trap_instruction(code)
        self._place_literals()
        head = prologue.prologue(self)
        self.head = len(head)
        return bytes(head + out)

    def _place_literals(self) -> None:
        out = self.out
        places: dict[int, int] = {}
        for at, literal in sorted(self.literals, key=lambda row: -(row[1] & 31)):
            place = places.get(literal)
            if place is None:
                size = literal & 31
                place = places[literal] = len(out)
                out += (literal >> 5).to_bytes(size, "little")
            out[at : at + 4] = (place - at - 4).to_bytes(4, "little")


Handler = tuple["Any", "Any"]


TRAP_BYTES: Final = 4


def trap_instruction(code: int) -> bytes:
    """`ud1 eax, [rax + code]`: the signal handler reads the code."""
    return bytes([0x0F, 0xB9, 0x40, code])
