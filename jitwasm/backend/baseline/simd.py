"""Vector instructions without memory operands: recipes of VEX instructions.

A recipe is a text of steps, `name target second third immediate`:

    x, y, z   the operands; not to be changed
    d         the result; not an operand's register where there are several steps
    t, u      temporary registers
    load      fetches a constant, written as its bytes in hexadecimal, repeated to fill a vector
    ones      sets all bits
    zero      clears all
"""

from __future__ import annotations

from jitwasm.backend.baseline.assembler import INSTRUCTIONS, Condition, Instruction, imm8
from jitwasm.backend.baseline.control import condition
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.isa import InstructionSet
from jitwasm.backend.baseline.operands import CONST, F32, F64, I32, I64, KIND, PAYLOAD, V128
from jitwasm.backend.baseline.simd_recipes import recipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["broadcast", "rows_of"]


class Step:
    """One instruction. Registers are indices into (x, y, z, d, t, u); -1 is none."""

    __slots__ = (
        "constant",
        "immediate",
        "kind",
        "op",
        "second",
        "target",
        "third",
    )

    def __init__(
        self,
        op: Instruction | None,
        target: int,
        second: int,
        third: int,
        immediate: int,
        constant: int,
        kind: str,
    ) -> None:
        self.op = op
        self.target = target
        self.second = second
        self.third = third
        self.immediate = immediate
        self.constant = constant
        self.kind = kind


_NAMES: Final = "xyzdtu"


def _parse(isa: InstructionSet, text: str) -> tuple[Step, ...]:
    table = isa.table
    steps: list[Step] = []
    for line in text.split(";"):
        name, *operands = line.split()
        target = _NAMES.index(operands[0])
        if name == "load":
            data = bytes.fromhex(operands[1])
            constant = int.from_bytes(data * (16 // len(data)), "little")
            steps.append(Step(None, target, -1, -1, -1, constant, name))
            continue
        if name in ("ones", "zero"):
            steps.append(Step(None, target, -1, -1, -1, 0, name))
            continue
        op = table[name if isa.has(name) else name + "i"]
        registers = [_NAMES.index(o) for o in operands[1:] if o in _NAMES]
        immediates = [int(o, 0) for o in operands[1:] if o not in _NAMES]
        immediate = immediates[0] if immediates else -1
        if immediates and isa.has(name + "i"):
            op = table[name + "i"]
        if len(registers) == 1:
            steps.append(Step(op, target, -1, registers[0], immediate, 0, ""))
        else:
            steps.append(Step(op, target, registers[0], registers[1], immediate, 0, ""))
    return tuple(steps)


class Recipe:
    """A recipe, parsed when it is first used: most modules use none of two hundred.

    Attributes:
        steps: none as long as it has not been parsed.
        operands: how many it takes from the stack.
        uses_t, uses_u: the temporary registers.
    """

    __slots__ = (
        "isa",
        "operands",
        "steps",
        "text",
        "uses_t",
        "uses_u",
    )

    def __init__(self, isa: InstructionSet, text: str) -> None:
        self.isa = isa
        self.text = text
        self.steps: tuple[Step, ...] = ()
        self.operands = 0
        self.uses_t = False
        self.uses_u = False

    def parse(self) -> None:
        """Fill in the rest."""
        steps = _parse(self.isa, self.text)
        used = {r for s in steps for r in (s.target, s.second, s.third)}
        self.operands = 1 + max(used & {0, 1, 2})
        self.uses_t, self.uses_u = 4 in used, 5 in used
        self.steps = steps  # last: another thread may be here, too


def cook(f: FunctionCompiler, pos: int, recipe: Recipe) -> int:
    """Run a recipe on the operands on top of the stack."""
    if not recipe.steps:
        recipe.parse()
    registers = [-1] * 6
    for i in range(recipe.operands - 1, -1, -1):
        registers[i] = f.xreg(f.stack.pop())
    single = len(recipe.steps) == 1
    if not single:
        registers[3] = f.xtmp()
    if recipe.uses_t:
        registers[4] = f.xtmp()
    if recipe.uses_u:
        registers[5] = f.xtmp()
    for i in (0, 1, 2, 4, 5):
        if registers[i] >= 0:
            f.xdrop(registers[i])
    if single:
        registers[3] = f.xtmp()
    for step in recipe.steps:
        emit(f, step, registers)
    f.push_xmm(V128, registers[3])
    return pos


def emit(f: FunctionCompiler, step: Step, registers: list[int]) -> None:
    target = registers[step.target]
    if step.op is None:
        if step.kind == "load":
            f.xload(target, step.constant << PAYLOAD | V128 << 3 | CONST)
        else:
            f.out += (f.isa.pcmpeqd if step.kind == "ones" else f.isa.xorps)[
                target << 8 | target << 4 | target
            ]
        return
    v = registers[step.second] << 8 if step.second >= 0 else 0
    f.out += step.op.rr[v | target << 4 | registers[step.third]]
    if step.immediate >= 0:
        f.out += imm8(step.immediate)


# -- tests ---------------------------------------------------------------------------------------


def any_true(f: FunctionCompiler, pos: int, row: None) -> int:
    source = f.xreg(f.stack.pop())
    f.out += f.isa.ptest[source << 4 | source]
    f.xdrop(source)
    return condition(f, pos, Condition.NE)


def all_true(f: FunctionCompiler, pos: int, compare: dict[int, bytes]) -> int:
    """No lane equals zero."""
    source = f.xreg(f.stack.pop())
    mask = f.xtmp()
    f.out += f.isa.xorps[mask << 8 | mask << 4 | mask] + compare[mask << 8 | mask << 4 | source]
    f.out += f.isa.ptest[mask << 4 | mask]
    f.xdrop(source)
    f.xdrop(mask)
    return condition(f, pos, Condition.E)


def bitmask(f: FunctionCompiler, pos: int, op: dict[int, bytes]) -> int:
    source = f.xreg(f.stack.pop())
    f.xdrop(source)
    reg = f.tmp()
    f.out += op[reg << 4 | source]
    f.push_reg(I32, reg)
    return pos


def bitmask16(f: FunctionCompiler, pos: int, row: None) -> int:
    source = f.xreg(f.stack.pop())
    narrow = f.xtmp()
    f.out += f.isa.xorps[narrow << 8 | narrow << 4 | narrow]
    f.out += f.isa["packsswb"].rr[source << 8 | narrow << 4 | narrow]
    reg = f.tmp()
    f.out += f.isa["pmovmskb"].rr[reg << 4 | narrow]
    f.xdrop(source)
    f.xdrop(narrow)
    f.push_reg(I32, reg)
    return pos


# -- shifts --------------------------------------------------------------------------------------


def shift(f: FunctionCompiler, pos: int, row: tuple[str, int, Recipe]) -> int:
    """The count, modulo the lane's bits plus `extra`, goes to u; then the recipe."""
    _, bits, recipe = row
    if not recipe.steps:
        recipe.parse()
    extra = 8 if bits == 8 and row[0] != "shl" else 0
    count = f.stack.pop()
    u = f.xtmp()
    if count & KIND == CONST:
        f.xload(u, ((count >> PAYLOAD) % bits + extra) << PAYLOAD | F64 << 3 | CONST)
    else:
        reg = f.own(count)
        f.out += INSTRUCTIONS["and32i"].ri[(bits - 1) << 4 | reg]
        if extra:
            f.out += INSTRUCTIONS["add32i"].ri[extra << 4 | reg]
        f.out += f.isa["movd_to"].rr[u << 4 | reg]
        f.drop(reg)
    x = f.xreg(f.stack.pop())
    d, t = f.xtmp(), f.xtmp()
    for step in recipe.steps:
        emit(f, step, [x, -1, -1, d, t, u])
    for reg in (x, t, u):
        f.xdrop(reg)
    f.push_xmm(V128, d)
    return pos


# -- lanes ---------------------------------------------------------------------------------------


def shuffle(f: FunctionCompiler, pos: int, row: None) -> int:
    picks = f.code[pos : pos + 16]
    y, x = f.xreg(f.stack.pop()), f.xreg(f.stack.pop())
    d, t = f.xtmp(), f.xtmp()
    shuffle_ = f.isa["pshufb"].rr
    first = bytes(p if p < 16 else 0x80 for p in picks)
    second = bytes(p - 16 if p >= 16 else 0x80 for p in picks)
    f.xload(d, int.from_bytes(first, "little") << PAYLOAD | V128 << 3 | CONST)
    f.out += shuffle_[x << 8 | d << 4 | d]
    f.xload(t, int.from_bytes(second, "little") << PAYLOAD | V128 << 3 | CONST)
    f.out += shuffle_[y << 8 | t << 4 | t]
    f.out += f.isa["por"].rr[d << 8 | d << 4 | t]
    for reg in (x, y, t):
        f.xdrop(reg)
    f.push_xmm(V128, d)
    return pos + 16


def broadcast(f: FunctionCompiler, target: int, source: int, size: int) -> None:
    """The lowest lane of `size` bytes into all lanes."""
    isa = f.isa
    name = _BROADCASTS[size]
    if isa.has(name):
        f.out += isa[name].rr[target << 4 | source]
    elif size == 1:
        zero = f.xtmp()
        f.out += isa.xorps[zero << 8 | zero << 4 | zero]
        f.out += isa["pshufb"].rr[source << 8 | target << 4 | zero]
        f.xdrop(zero)
    elif size == 2:
        f.out += isa["pshuflw"].rr[target << 4 | source] + imm8(0)
        f.out += isa["pshufd"].rr[target << 4 | target] + imm8(0)
    else:
        f.out += isa["pshufd"].rr[target << 4 | source] + imm8(0 if size == 4 else 0x44)


_BROADCASTS: Final = {1: "pbroadcastb", 2: "pbroadcastw", 4: "pbroadcastd", 8: "pbroadcastq"}


def splat(f: FunctionCompiler, pos: int, row: tuple[str, int]) -> int:
    move, size = row
    if move:
        source = f.reg(f.stack.pop())
        f.drop(source)
        d = f.xtmp()
        f.out += f.isa[move].rr[d << 4 | source]
        broadcast(f, d, d, size)
    else:
        x = f.xreg(f.stack.pop())
        d = f.xtmp()
        broadcast(f, d, x, size)
        f.xdrop(x)
    f.push_xmm(V128, d)
    return pos


def extract(f: FunctionCompiler, pos: int, row: tuple[str, str, int]) -> int:
    op, extend, type_ = row
    x = f.xreg(f.stack.pop())
    f.xdrop(x)
    reg = f.tmp()
    f.out += f.isa[op].rr[x << 4 | reg] + imm8(f.code[pos])
    if extend:
        f.out += INSTRUCTIONS[extend].rr[reg << 4 | reg]
    f.push_reg(type_, reg)
    return pos + 1


def extract_float(f: FunctionCompiler, pos: int, type_: int) -> int:
    lane = f.code[pos]
    x = f.xreg(f.stack.pop())
    f.xdrop(x)
    d = f.xtmp()
    order = lane if type_ == F32 else 0xEE if lane else 0x44
    f.out += f.isa["pshufd"].rr[d << 4 | x] + imm8(order)
    f.push_xmm(type_, d)
    return pos + 1


def replace(f: FunctionCompiler, pos: int, op: str) -> int:
    reg = f.reg(f.stack.pop())
    x = f.xreg(f.stack.pop())
    f.xdrop(x)
    f.drop(reg)
    d = f.xtmp()
    f.out += f.isa[op].rr[x << 8 | d << 4 | reg] + imm8(f.code[pos])
    f.push_xmm(V128, d)
    return pos + 1


def replace_float(f: FunctionCompiler, pos: int, type_: int) -> int:
    lane = f.code[pos]
    y, x = f.xreg(f.stack.pop()), f.xreg(f.stack.pop())
    f.xdrop(y)
    f.xdrop(x)
    d = f.xtmp()
    key = x << 8 | d << 4 | y
    if type_ == F32:
        f.out += f.isa["insertps"].rr[key] + imm8(lane << 4)
    elif lane:
        f.out += f.isa["punpcklqdq"].rr[key]
    else:
        f.out += f.isa["load_f64"].rr[key]
    f.push_xmm(V128, d)
    return pos + 1


def select_lanes(f: FunctionCompiler, pos: int, op: str) -> int:
    """The top bit of the mask's lanes decides."""
    z, y, x = f.xreg(f.stack.pop()), f.xreg(f.stack.pop()), f.xreg(f.stack.pop())
    for reg in (x, y, z):
        f.xdrop(reg)
    d = f.xtmp()
    f.out += f.isa[op].rr[y << 8 | d << 4 | x] + imm8(z << 4)
    f.push_xmm(V128, d)
    return pos


def _shift_rows(isa: InstructionSet) -> dict[str, Handler]:
    rows: dict[str, Handler] = {}
    for bits, shape, lane in ((16, "i16x8", "w"), (32, "i32x4", "d"), (64, "i64x2", "q")):
        for name, x86 in (("shl", "psll"), ("shr_s", "psra"), ("shr_u", "psrl")):
            text = f"{x86}{lane} d x u"
            if x86 + lane == "psraq":
                text = "ones t; psllq t t 63; psrlq t t u; psrlq d x u; pxor d d t; psubq d d t"
            rows[f"{shape}.{name}"] = (shift, (name, bits, Recipe(isa, text)))
    by_words = "punpcklbw d x x; punpckhbw t x x; {0} d d u; {0} t t u; {1} d d t"
    for name, text in (
        # What crosses from one byte of a word to the other is masked out.
        ("shl", "psllw d x u; ones t; psllw t t u; zero u; pshufb t t u; pand d d t"),
        ("shr_s", by_words.format("psraw", "packsswb")),
        ("shr_u", by_words.format("psrlw", "packuswb")),
    ):
        rows[f"i8x16.{name}"] = (shift, (name, 8, Recipe(isa, text)))
    return rows


def rows_of(isa: InstructionSet) -> dict[str, Handler]:
    """The vector instructions without memory operands."""
    table = isa.table
    rows: dict[str, Handler] = {
        name: (cook, Recipe(isa, text)) for name, text in recipes(isa.features).items()
    }
    rows.update(_shift_rows(isa))
    rows["v128.any_true"] = (any_true, None)
    for shape, lane in (("i8x16", "b"), ("i16x8", "w"), ("i32x4", "d"), ("i64x2", "q")):
        rows[f"{shape}.all_true"] = (all_true, table[f"pcmpeq{lane}"].rr)
    rows["i8x16.bitmask"] = (bitmask, table["pmovmskb"].rr)
    rows["i16x8.bitmask"] = (bitmask16, None)
    rows["i32x4.bitmask"] = (bitmask, table["movmskps"].rr)
    rows["i64x2.bitmask"] = (bitmask, table["movmskpd"].rr)
    rows["i8x16.shuffle"] = (shuffle, None)
    for shape, move, size in (
        ("i8x16", "movd_to", 1),
        ("i16x8", "movd_to", 2),
        ("i32x4", "movd_to", 4),
        ("i64x2", "movq_to", 8),
        ("f32x4", "", 4),
        ("f64x2", "", 8),
    ):
        rows[f"{shape}.splat"] = (splat, (move, size))
    for name, op, extend, type_ in (
        ("i8x16.extract_lane_s", "pextrb", "movsx8_32", I32),
        ("i8x16.extract_lane_u", "pextrb", "", I32),
        ("i16x8.extract_lane_s", "pextrw", "movsx16_32", I32),
        ("i16x8.extract_lane_u", "pextrw", "", I32),
        ("i32x4.extract_lane", "pextrd", "", I32),
        ("i64x2.extract_lane", "pextrq", "", I64),
    ):
        rows[name] = (extract, (op, extend, type_))
    for shape, lane in (("i8x16", "b"), ("i16x8", "w"), ("i32x4", "d"), ("i64x2", "q")):
        rows[f"{shape}.replace_lane"] = (replace, f"pinsr{lane}")
    for shape, type_ in (("f32x4", F32), ("f64x2", F64)):
        rows[f"{shape}.extract_lane"] = (extract_float, type_)
        rows[f"{shape}.replace_lane"] = (replace_float, type_)
    for shape, op in (
        ("i8x16", "pblendvb"),
        ("i32x4", "blendvps"),
        ("i64x2", "blendvpd"),
    ):
        if isa.has(op):
            rows[f"{shape}.relaxed_laneselect"] = (select_lanes, op)
    return rows
