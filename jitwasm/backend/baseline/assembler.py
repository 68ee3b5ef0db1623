"""x86-64 machine code: the instructions of the table of encodings (encodings.py).

An `Instruction` turns operands to bytes; each operand form is a dictionary that fills itself, keyed
by the operands packed into an int, since most of the code consists of few combinations:

    rr   register, register     reg << 4 | rm
    rf   register, frame slot   disp << 4 | reg                 [rbp + disp]
    rb   register, memory       (disp << 4 | base) << 4 | reg   [base + disp]
    rx   register, memory       (disp << 4 | index) << 4 | reg  [MEMORY + index + disp]

    vf   the same as rf with a second source   (disp << 4 | v) << 4 | reg
    vx   the same as rx with a second source   ((disp << 4 | index) << 4 | v) << 4 | reg
    vl   register, literal                     v << 4 | reg     [rip + …], to be filled in

`reg` is the extension digit's place, and left 0, for encodings that have one (`/4`); encodings with
two sources have the first of them above all in `rr` (`v << 8`). Immediates are appended by the
caller, except in `ri`.
"""

from __future__ import annotations

from collections.abc import Callable

from jitwasm.backend.baseline.encodings import ENCODINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = [
    "ENCODINGS",
    "INSTRUCTIONS",
    "MEMORY",
    "R8",
    "R9",
    "R10",
    "R11",
    "R12",
    "R13",
    "R14",
    "R15",
    "RAX",
    "RBP",
    "RBX",
    "RCX",
    "RDI",
    "RDX",
    "RSI",
    "RSP",
    "SCRATCH",
    "VMCTX",
    "Condition",
    "Form",
    "Instruction",
    "Spec",
    "Table",
    "imm8",
    "imm32",
    "move_immediate",
    "parse_encoding",
]

RAX: Final = 0
RCX: Final = 1
RDX: Final = 2
RBX: Final = 3
RSP: Final = 4
RBP: Final = 5
RSI: Final = 6
RDI: Final = 7
R8: Final = 8
R9: Final = 9
R10: Final = 10
R11: Final = 11
R12: Final = 12
R13: Final = 13
R14: Final = 14
R15: Final = 15
VMCTX: Final = 15
"""r15"""
MEMORY: Final = 14
"""r14: the base of memory 0."""


class Condition:
    """Condition codes: the low bit negates."""

    O: Final = 0  # noqa: E741
    NO: Final = 1
    B: Final = 2
    AE: Final = 3
    E: Final = 4
    NE: Final = 5
    BE: Final = 6
    A: Final = 7
    S: Final = 8
    NS: Final = 9
    P: Final = 10
    NP: Final = 11
    L: Final = 12
    GE: Final = 13
    LE: Final = 14
    G: Final = 15


_PREFIXES: Final = {"NP": 0, "66": 1, "F3": 2, "F2": 3}
_MAPS: Final = {"0F": 1, "0F38": 2, "0F3A": 3}
_SIGNED_BYTE: Final = {0x81: 0x83, 0x69: 0x6B}
"""Opcodes with a 32-bit immediate that have a short form."""


_TWO_OPERANDS: Final = frozenset(
    "load_f32 load_f64 load_v128 store_f32 store_f64 store_v128 movaps movd_to movq_to movd_from "
    "movq_from ucomiss ucomisd cvttss2si cvttsd2si sqrtps sqrtpd roundps roundpd pabsb pabsw pabsd "
    "pmovsxbw pmovsxwd pmovsxdq pmovzxbw pmovzxwd pmovzxdq pshufd pshuflw cvtdq2ps cvtdq2pd "
    "cvttps2dq cvttpd2dq cvtps2pd cvtpd2ps ptest pmovmskb movmskps movmskpd pbroadcastb "
    "pbroadcastw pbroadcastd pbroadcastq pextrb pextrw pextrd pextrq".split()
)
"""VEX encodings without a second source. Others have it in `vvvv`."""
_MERGING_MOVES: Final = frozenset(("load_f32", "load_f64"))
"""They have one with registers only."""
_FROM_GENERAL: Final = ("cvtsi2", "pinsr")
_COMMUTATIVE: Final = frozenset(
    "addss addsd addps addpd mulss mulsd mulps mulpd andps orps xorps pand por pxor paddb paddw "
    "paddd paddq paddsb paddsw paddusb paddusw pmullw pmulld pmuldq pmuludq pmaddwd pmulhrsw "
    "pminsb pminsw pminsd pminub pminuw pminud pmaxsb pmaxsw pmaxsd pmaxub pmaxuw pmaxud pavgb "
    "pavgw pcmpeqb pcmpeqw pcmpeqd pcmpeqq".split()
)
_PREFIX_BYTES: Final = (b"", b"\x66", b"\xf3", b"\xf2")
_MAP_BYTES: Final = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
SCRATCH: Final = 15
"""xmm15: of code without VEX encodings only."""


class Spec:
    """An encoding.

    Attributes:
        prefix: mandatory prefix; of VEX encodings its number.
        opcode: the bytes behind REX; of VEX encodings one byte.
        wide: REX.W or VEX.W.
        map: opcode map of a VEX encoding, 0 for others.
        digit: opcode extension in the place of `reg`, or -1.
        immediate: its bytes.
        byte_reg, byte_rm: the operand is a byte register.
        sources: of a VEX encoding: 2 if there is a second source besides `rm`.
        from_general: `rm` is a general register where `reg` is a vector.
        commutes: the sources may change places.
        legacy: write a VEX encoding's instruction as it was before VEX, where the target is the
            second source; what has to be moved for that is moved.
    """

    __slots__ = (
        "byte_reg",
        "byte_rm",
        "commutes",
        "digit",
        "from_general",
        "immediate",
        "legacy",
        "map",
        "opcode",
        "prefix",
        "sources",
        "wide",
    )

    def __init__(
        self,
        prefix: int,
        opcode: bytes,
        wide: int,
        map: int,
        digit: int,
        immediate: int,
        byte_reg: bool,
        byte_rm: bool,
        sources: int,
        from_general: bool,
        commutes: bool,
        legacy: bool,
    ) -> None:
        self.prefix = prefix
        self.opcode = opcode
        self.wide = wide
        self.map = map
        self.digit = digit
        self.immediate = immediate
        self.byte_reg = byte_reg
        self.byte_rm = byte_rm
        self.sources = sources
        self.from_general = from_general
        self.commutes = commutes
        self.legacy = legacy

    def head(self, reg: int, v: int, index: int, base: int, force: bool) -> bytes:
        """Everything before ModRM."""
        if self.map and not self.legacy:
            if self.map == 1 and not self.wide and index < 8 and base < 8:
                return bytes([0xC5, (reg < 8) << 7 | (~v & 15) << 3 | self.prefix, self.opcode[0]])
            first = (reg < 8) << 7 | (index < 8) << 6 | (base < 8) << 5 | self.map
            second = self.wide << 7 | (~v & 15) << 3 | self.prefix
            return bytes([0xC4, first, second, self.opcode[0]])
        rex = 0x40 | self.wide << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3
        if self.map:
            head = _PREFIX_BYTES[self.prefix]
        else:
            head = bytes([self.prefix]) if self.prefix else b""
        if rex != 0x40 or force:
            head += bytes([rex])
        return head + _MAP_BYTES[self.map] + self.opcode

    def registers(self, reg: int, rm: int, v: int = 0) -> bytes:
        """With a register as the second operand."""
        if self.map and self.legacy:
            return self._two_operands(reg, rm, v)
        if self.digit >= 0:
            if self.map:
                v = reg
            reg = self.digit
        return self._direct(reg, rm, v)

    def _direct(self, reg: int, rm: int, v: int) -> bytes:
        force = (self.byte_reg and 4 <= reg < 8) or (self.byte_rm and 4 <= rm < 8)
        return self.head(reg, v, 0, rm, force) + bytes([0xC0 | (reg & 7) << 3 | rm & 7])

    def _two_operands(self, reg: int, rm: int, v: int) -> bytes:
        if self.digit >= 0:
            return _move_vector(reg, rm) + self._direct(self.digit, reg, 0)
        if self.sources < 2 or reg == v:
            return self._direct(reg, rm, 0)
        if reg != rm or self.from_general:
            return _move_vector(reg, v) + self._direct(reg, rm, 0)
        if self.commutes:
            return self._direct(reg, v, 0)
        saved = _move_vector(SCRATCH, rm) + _move_vector(reg, v)
        return saved + self._direct(reg, SCRATCH, 0)

    def memory(
        self,
        reg: int,
        base: int,
        disp: int,
        index: int = -1,
        shift: int = 0,
        v: int = 0,
        relative: bool = False,
    ) -> bytes:
        """With `[base + index << shift + disp]` as the second operand; `relative`: with
        `[rip + disp]`, where base is rbp and the displacement long."""
        first = b""
        if self.digit >= 0:
            reg = self.digit
        elif self.legacy and self.sources == 2 and not self.is_merging_move:
            first = _move_vector(reg, v)
        head = self.head(reg, v, max(index, 0), base, self.byte_reg and 4 <= reg < 8)
        low, size = (reg & 7) << 3, 4
        if disp == 0 and base & 7 != RBP:
            mod, size = 0, 0
        elif -128 <= disp < 128:
            mod, size = 0x40, 1
        else:
            mod = 0x80
        if relative:
            mod = 0
        if index >= 0 or base & 7 == RSP:
            sib = shift << 6 | (index & 7 if index >= 0 else 4) << 3 | base & 7
            operand = bytes([mod | low | 4, sib])
        else:
            operand = bytes([mod | low | base & 7])
        return first + head + operand + disp.to_bytes(size, "little", signed=True)

    @property
    def is_merging_move(self) -> bool:
        """movss and movsd: from memory they have one source."""
        return self.map == 1 and self.opcode == b"\x10"


def _move_vector(target: int, source: int) -> bytes:
    """movaps without VEX."""
    if target == source:
        return b""
    rex = 0x40 | (target >> 3) << 2 | source >> 3
    prefix = bytes([rex]) if rex != 0x40 else b""
    return prefix + bytes([0x0F, 0x28, 0xC0 | (target & 7) << 3 | source & 7])


def parse_encoding(name: str, encoding: str, bytes_of: str, legacy: bool = False) -> Spec:
    """The encoding of a row of the table."""
    prefix = wide = vex_map = immediate = 0
    digit = -1
    opcode = b""
    for token in encoding.split():
        if token.startswith("VEX."):
            _, _, pp, where, w = token.split(".")
            prefix, vex_map, wide = _PREFIXES[pp], _MAPS[where], int(w == "W1")
        elif token == "REX.W":
            wide = 1
        elif token.startswith("/"):
            digit = -1 if token == "/r" else int(token[1:])
        elif token[0] == "i":
            immediate = {"ib": 1, "iw": 2, "id": 4}[token]
        elif not opcode and not vex_map and token in ("66", "F2", "F3") and not wide:
            prefix = int(token, 16)
        else:
            opcode += bytes([int(token, 16)])
    two = vex_map and (name not in _TWO_OPERANDS or name in _MERGING_MOVES)
    return Spec(
        prefix, opcode, wide, vex_map, digit, immediate, "r" in bytes_of, "m" in bytes_of,
        2 if two else 1, name.startswith(_FROM_GENERAL), name in _COMMUTATIVE, legacy,
    )  # fmt: skip


MEMO: Final = 1 << 12
"""Entries a form remembers at most: hostile modules shall not fill memory."""


class Form(dict[int, bytes]):
    """One operand form of an instruction."""

    def __init__(self, encode: Callable[[int], bytes]) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, key: int) -> bytes:
        found = self._encode(key)
        if len(self) < MEMO:
            self[key] = found
        return found


class Instruction:
    """One row of the table; see the module's docstring for the forms."""

    __slots__ = ("_legacy", "_spec", "name", "rb", "rf", "ri", "rr", "rx", "vf", "vl", "vx")

    def __init__(self, name: str, legacy: bool = False) -> None:
        """`legacy`: see `Spec`. Raises KeyError where the table has none of that name."""
        self.name = _ROWS[name][0]
        self._legacy = legacy
        self._spec: Spec | None = None
        self.rr: dict[int, bytes] = Form(self._registers)
        self.rf: dict[int, bytes] = Form(self._frame)
        self.rb: dict[int, bytes] = Form(self._based)
        self.rx: dict[int, bytes] = Form(self._indexed)
        self.ri: dict[int, bytes] = Form(self._immediate)
        self.vf: dict[int, bytes] = Form(self._frame_source)
        self.vx: dict[int, bytes] = Form(self._indexed_source)
        self.vl: dict[int, bytes] = Form(self._literal)

    @property
    def spec(self) -> Spec:
        """Its encoding, parsed when it is first used: most modules use few of them."""
        if self._spec is None:
            _, encoding, _, byte_registers = _ROWS[self.name]
            self._spec = parse_encoding(self.name, encoding, byte_registers, self._legacy)
        return self._spec

    def _registers(self, key: int) -> bytes:
        return self.spec.registers(key >> 4 & 15, key & 15, key >> 8)

    def _frame(self, key: int) -> bytes:
        return self.spec.memory(key & 15, RBP, key >> 4)

    def _based(self, key: int) -> bytes:
        return self.spec.memory(key & 15, key >> 4 & 15, key >> 8)

    def _indexed(self, key: int) -> bytes:
        return self.spec.memory(key & 15, MEMORY, key >> 8, key >> 4 & 15)

    def _frame_source(self, key: int) -> bytes:
        return self.spec.memory(key & 15, RBP, key >> 8, v=key >> 4 & 15)

    def _indexed_source(self, key: int) -> bytes:
        return self.spec.memory(key & 15, MEMORY, key >> 12, key >> 8 & 15, v=key >> 4 & 15)

    def _literal(self, key: int) -> bytes:
        """Without the four bytes of the displacement."""
        return self.spec.memory(key & 15, RBP, 1 << 30, v=key >> 4, relative=True)[:-4]

    def scaled(self, shift: int) -> Form:
        """The form of `[base + index << shift]`: `(index << 4 | base) << 4 | reg`."""

        def encode(key: int) -> bytes:
            return self.spec.memory(key & 15, key >> 4 & 15, 0, key >> 8, shift)

        return Form(encode)

    def _immediate(self, key: int) -> bytes:
        """Register and immediate: `imm << 4 | reg`. The register is source and target."""
        reg, imm = key & 15, key >> 4
        short = _SIGNED_BYTE.get(self.spec.opcode[0])
        code = self.spec.registers(reg, reg)
        if short is not None and -128 <= imm < 128:
            return code[:-2] + bytes([short, code[-1], imm & 0xFF])
        size = self.spec.immediate
        return code + (imm & (1 << 8 * size) - 1).to_bytes(size, "little")


class Table(dict[str, Instruction]):
    """Instructions by name, made when they are first asked for; KeyError where there is none."""

    def __init__(self, make: Callable[[str], Instruction]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Instruction:
        found = self[name] = self._make(name)
        return found


_ROWS: Final = {row[0]: row for row in ENCODINGS}
INSTRUCTIONS: Final[dict[str, Instruction]] = Table(Instruction)
"""With VEX encodings for everything that has them."""


def imm32(value: int) -> bytes:
    """The low 32 bits."""
    return (value & 0xFFFFFFFF).to_bytes(4, "little")


def imm8(value: int) -> bytes:
    return bytes([value & 0xFF])


def move_immediate(reg: int, value: int, wide: bool) -> bytes:
    """The shortest instruction that sets a register and leaves the flags alone."""
    return _MOVE_IMMEDIATE[value << 5 | wide << 4 | reg]


def _encode_move(key: int) -> bytes:
    reg, wide, value = key & 15, key & 16, key >> 5
    value &= 0xFFFFFFFFFFFFFFFF if wide else 0xFFFFFFFF
    if value < 1 << 32:
        return (b"\x41" if reg > 7 else b"") + bytes([0xB8 | reg & 7]) + imm32(value)
    rex = 0x48 | reg >> 3
    if value >= (1 << 64) - (1 << 31):
        return bytes([rex, 0xC7, 0xC0 | reg & 7]) + imm32(value)
    return bytes([rex, 0xB8 | reg & 7]) + value.to_bytes(8, "little")


_MOVE_IMMEDIATE: Final[dict[int, bytes]] = Form(_encode_move)
