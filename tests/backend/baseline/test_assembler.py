"""Every row of the encoding table, in every form with every register, as capstone sees it."""

from __future__ import annotations

import pytest

from jitwasm.backend.baseline.assembler import (
    ENCODINGS,
    INSTRUCTIONS,
    MEMORY,
    RBP,
    move_immediate,
)
from jitwasm.backend.baseline.isa import instruction_set

capstone = pytest.importorskip("capstone")

GENERAL = {
    "64": "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(),
    "32": "eax ecx edx ebx esp ebp esi edi r8d r9d r10d r11d r12d r13d r14d r15d".split(),
    "16": "ax cx dx bx sp bp si di r8w r9w r10w r11w r12w r13w r14w r15w".split(),
    "8": "al cl dl bl spl bpl sil dil r8b r9b r10b r11b r12b r13b r14b r15b".split(),
}
VECTOR = [f"xmm{i}" for i in range(16)]
NUMBER = {name: i for names in (*GENERAL.values(), VECTOR) for i, name in enumerate(names)}
DISPLACEMENTS = (0, 1, -1, 127, -128, 128, -129, 0x7FFFFFFF, -0x80000000)
ROWS = [(name, mnemonic) for name, _, mnemonic, _ in ENCODINGS]
_TARGET_IS_RM = ("store", "movd_from", "movq_from", "test", "xchg", "pextr")


@pytest.fixture(scope="module")
def disassembler() -> object:
    found = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    found.detail = True
    return found


def decode(disassembler: object, code: bytes, immediate: int) -> object:
    data = code + bytes(immediate)
    instructions = list(disassembler.disasm(data, 0))  # type: ignore[attr-defined]
    assert len(instructions) == 1, code.hex()
    assert instructions[0].size == len(data), code.hex()
    return instructions[0]


def numbers(instruction: object) -> list[int]:
    """The register operands, without the count of a shift by %cl."""
    found = [
        NUMBER[instruction.reg_name(o.reg)]  # type: ignore[attr-defined]
        for o in instruction.operands  # type: ignore[attr-defined]
        if o.type == capstone.x86.X86_OP_REG
    ]
    is_shift = instruction.mnemonic in ("rol", "ror", "shl", "shr", "sar")  # type: ignore[attr-defined]
    return found[:-1] if is_shift and instruction.bytes[-1] >= 0xC0 and found[1:] else found  # type: ignore[attr-defined]


def same_mnemonic(found: str, wanted: str) -> bool:
    # Comparisons by an immediate predicate have names of their own.
    if wanted in ("vcmpss", "vcmpsd", "vcmpps", "vcmppd"):
        return found.startswith("vcmp") and found.endswith(wanted[-2:])
    return found in (wanted, {"movsxd": "movsxd", "movabs": "mov"}.get(wanted, wanted))


def is_three_operand(name: str) -> bool:
    spec = INSTRUCTIONS[name].spec
    return bool(spec.map) and spec.digit < 0 and spec.sources == 2


@pytest.mark.parametrize(("name", "mnemonic"), ROWS)
def test_registers_are_encoded(disassembler: object, name: str, mnemonic: str) -> None:
    instruction = INSTRUCTIONS[name]
    spec = instruction.spec
    if mnemonic == "lea":
        return
    three = is_three_operand(name)
    for reg in range(16):
        for rm in range(16):
            # Of three operands each combination of two.
            for v in {reg, rm ^ reg, 15 - rm} if three else (0,):
                code = instruction.rr[v << 8 | reg << 4 | rm]
                found = decode(disassembler, code, spec.immediate)
                assert same_mnemonic(found.mnemonic, mnemonic), (name, found.mnemonic)
                if spec.digit >= 0:
                    want = [reg, rm] if spec.map else [rm]
                elif three and mnemonic not in ("vmovss", "vmovsd"):
                    want = [reg, v, rm]
                else:
                    want = [reg, rm]
                if mnemonic.startswith(("vblendv", "vpblendv")):
                    want.append(0)  # in the immediate
                if three and mnemonic in ("shlx", "shrx", "sarx", "vshlx"):
                    want = [reg, rm, v]
                got = numbers(found)
                if mnemonic in ("vmovss", "vmovsd"):
                    continue  # with registers they merge: below
                if name.startswith(_TARGET_IS_RM):
                    got.reverse()
                    if mnemonic in ("test", "xchg"):
                        got = sorted(got)
                        want = sorted(want)
                assert got == want, (name, code.hex(), found.op_str)


@pytest.mark.parametrize(("name", "mnemonic"), ROWS)
def test_memory_operands_are_encoded(disassembler: object, name: str, mnemonic: str) -> None:
    instruction = INSTRUCTIONS[name]
    spec = instruction.spec
    if mnemonic in ("vpmovmskb", "vmovmskps", "vmovmskpd") or (spec.map and spec.digit >= 0):
        return
    for disp in DISPLACEMENTS:
        for reg in range(16):
            check_memory(disassembler, name, instruction.rf[disp << 4 | reg], reg, RBP, -1, disp)
            for base in range(16):
                code = instruction.rb[(disp << 4 | base) << 4 | reg]
                check_memory(disassembler, name, code, reg, base, -1, disp)
                if base != 4:
                    code = instruction.rx[(disp << 4 | base) << 4 | reg]
                    check_memory(disassembler, name, code, reg, MEMORY, base, disp)


def check_memory(
    disassembler: object, name: str, code: bytes, reg: int, base: int, index: int, disp: int
) -> None:
    spec = INSTRUCTIONS[name].spec
    found = decode(disassembler, code, spec.immediate)
    memory = next(o for o in found.operands if o.type == capstone.x86.X86_OP_MEM)  # type: ignore[attr-defined]
    assert NUMBER[found.reg_name(memory.mem.base)] == base  # type: ignore[attr-defined]
    if index >= 0:
        assert NUMBER[found.reg_name(memory.mem.index)] == index  # type: ignore[attr-defined]
    else:
        assert memory.mem.index == 0
    assert memory.mem.disp == disp
    assert memory.mem.segment == 0
    got = numbers(found)
    if spec.digit < 0 and len(got):
        assert reg in got


@pytest.mark.parametrize("name", [n for n, e, _, _ in ENCODINGS if n.endswith("i") and " id" in e])
def test_immediates_are_encoded(disassembler: object, name: str) -> None:
    if name.startswith("store"):
        return
    for reg in range(16):
        for value in (0, 1, -1, 127, -128, 128, -129, 0x7FFFFFFF, -0x80000000):
            found = decode(disassembler, INSTRUCTIONS[name].ri[value << 4 | reg], 0)
            assert numbers(found)[0] == reg
            bits = 64 if INSTRUCTIONS[name].spec.wide else 32
            assert (found.operands[-1].imm - value) % (1 << bits) == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("wide", [False, True])
def test_an_immediate_is_moved_in_the_shortest_way(disassembler: object, wide: bool) -> None:
    for reg in range(16):
        for value in (0, 1, -1, 0x7FFFFFFF, 0x80000000, -0x80000000, 1 << 63, 0x123456789ABCDEF):
            code = move_immediate(reg, value, wide)
            found = decode(disassembler, code, 0)
            register = found.reg_name(found.operands[0].reg)  # type: ignore[attr-defined]
            assert NUMBER[register] == reg
            bits = 64 if wide else 32
            full = found.operands[1].imm % (1 << (64 if register in GENERAL["64"] else 32))  # type: ignore[attr-defined]
            assert full == value % (1 << bits)


# -- widths, second sources, the forms without VEX -----------------------------------------------

ACCESSED = {
    "mov32": 4, "mov64": 8, "store32": 4, "store64": 8, "store16": 2, "store8": 1, "store32i": 4,
    "store64i": 8, "store16i": 2, "store8i": 1, "movzx8": 1, "movzx16": 2, "movsx8_32": 1,
    "movsx8_64": 1, "movsx16_32": 2, "movsx16_64": 2, "movsxd": 4, "load_f32": 4, "store_f32": 4,
    "load_f64": 8, "store_f64": 8, "load_v128": 16, "store_v128": 16, "addss": 4, "subss": 4,
    "mulss": 4, "divss": 4, "addsd": 8, "subsd": 8, "mulsd": 8, "divsd": 8, "pinsrb": 1,
    "pinsrw": 2, "pinsrd": 4, "pinsrq": 8, "pextrb": 1, "pextrw": 2, "pextrd": 4, "pextrq": 8,
    "pmovsxbw": 8, "pmovsxwd": 8, "pmovsxdq": 8, "pmovzxbw": 8, "pmovzxwd": 8, "pmovzxdq": 8,
    "pbroadcastb": 1, "pbroadcastw": 2, "pbroadcastd": 4, "pbroadcastq": 8, "call": 8, "jmp": 8,
    "push": 8, "pop": 8, "lzcnt32": 4, "lzcnt64": 8, "tzcnt32": 4, "popcnt64": 8, "imul32": 4,
    "imul64": 8, "add32": 4, "add64": 8, "cmp32": 4, "cmp64": 8,
}  # fmt: skip
"""Bytes of the memory operand."""
LEGACY = instruction_set(frozenset())
TWO_OPERAND_FORMS = [(name, mnemonic) for name, mnemonic in ROWS if LEGACY.has(name)]
TWO_OPERAND_FORMS = [row for row in TWO_OPERAND_FORMS if LEGACY[row[0]].spec.legacy]


@pytest.mark.parametrize("name", ACCESSED)
def test_memory_operands_have_their_width(disassembler: object, name: str) -> None:
    for instruction in (INSTRUCTIONS[name], LEGACY[name] if LEGACY.has(name) else None):
        if instruction is None:
            continue
        code = instruction.rx[(64 << 4 | 1) << 4 | 2] + bytes(instruction.spec.immediate)
        steps = list(disassembler.disasm(code, 0))  # type: ignore[attr-defined]
        memory = next(o for o in steps[-1].operands if o.type == capstone.x86.X86_OP_MEM)
        assert memory.size == ACCESSED[name]


@pytest.mark.parametrize(
    "name", [n for n, *_ in ENCODINGS if n[-2:] in ("32", "64") and "_f" not in n]
)
def test_general_registers_have_their_width(disassembler: object, name: str) -> None:
    instruction = INSTRUCTIONS[name]
    if name.startswith("lea"):
        code = instruction.rb[(8 << 4 | 3) << 4 | 9]
    else:
        code = instruction.rr[1 << 8 | 9 << 4 | 10]
    found = decode(disassembler, code, instruction.spec.immediate)
    names = [
        found.reg_name(o.reg)  # type: ignore[attr-defined]
        for o in found.operands  # type: ignore[attr-defined]
        if o.type == capstone.x86.X86_OP_REG
    ]
    general = [n for n in names if not n.startswith("xmm")]
    if name in ("movsx8_32", "movsx8_64", "movsx16_32", "movsx16_64"):
        general = general[:1]
    assert general
    assert all(n in GENERAL[name[-2:]] for n in general), names


@pytest.mark.parametrize("name", ["load_f32", "load_f64"])
def test_moves_between_vector_registers_merge(disassembler: object, name: str) -> None:
    for reg in range(16):
        for rm in range(16):
            code = INSTRUCTIONS[name].rr[(15 - reg) << 8 | reg << 4 | rm]
            assert numbers(decode(disassembler, code, 0)) == [reg, 15 - reg, rm]


@pytest.mark.parametrize(
    "name", [n for n, _ in ROWS if is_three_operand(n) and n[:4] not in ("shlx", "sarx", "shrx")]
)
def test_second_sources_beside_memory_are_encoded(disassembler: object, name: str) -> None:
    instruction = INSTRUCTIONS[name]
    if name in ("load_f32", "load_f64"):
        return
    for reg, v in ((0, 15), (15, 0), (7, 8), (8, 7), (3, 3)):
        for disp in (0, -8, 127, -4096):
            codes = [
                (instruction.vf[(disp << 4 | v) << 4 | reg], RBP, disp),
                (instruction.vx[((disp << 4 | 9) << 4 | v) << 4 | reg], MEMORY, disp),
            ]
            codes.append((instruction.vl[v << 4 | reg] + bytes(4), -1, 0))
            for code, base, displacement in codes:
                found = decode(disassembler, code, instruction.spec.immediate)
                got = numbers(found)
                assert got[:2] == [reg, v]
                memory = next(o for o in found.operands if o.type == capstone.x86.X86_OP_MEM)  # type: ignore[attr-defined]
                assert memory.mem.disp == displacement
                register = found.reg_name(memory.mem.base)  # type: ignore[attr-defined]
                assert register == "rip" if base < 0 else NUMBER[register] == base


@pytest.mark.parametrize(("name", "mnemonic"), TWO_OPERAND_FORMS)
def test_forms_without_vex_are_encoded(disassembler: object, name: str, mnemonic: str) -> None:
    """The last instruction is the one that is meant; moves of whole registers come before."""
    instruction = LEGACY[name]
    spec = instruction.spec
    for reg in (0, 3, 7, 8, 14):
        for rm in (0, 3, 7, 8, 14):
            for v in (0, 7, 8, reg) if spec.sources == 2 else (0,):
                code = instruction.rr[v << 8 | reg << 4 | rm] + bytes(spec.immediate)
                steps = list(disassembler.disasm(code, 0))  # type: ignore[attr-defined]
                assert sum(step.size for step in steps) == len(code), code.hex()
                *before, last = steps
                assert same_mnemonic("v" + last.mnemonic, mnemonic), last.mnemonic
                assert all(step.mnemonic == "movaps" for step in before)
                got = numbers(last)
                if name.startswith(_TARGET_IS_RM):
                    got.reverse()
                target = rm if name.startswith(_TARGET_IS_RM) else reg
                assert target in got or reg == got[0]
    for base, index in ((0, 1), (5, 8), (12, 9), (13, 15), (4, 3)):
        if mnemonic in ("vpmovmskb", "vmovmskps", "vmovmskpd") or spec.digit >= 0:
            continue
        for disp in DISPLACEMENTS:
            forms = [
                (instruction.rf[disp << 4 | 9], RBP, -1),
                (instruction.rb[(disp << 4 | base) << 4 | 9], base, -1),
                (instruction.rx[(disp << 4 | index) << 4 | 9], MEMORY, index),
            ]
            for code, wanted, wanted_index in forms:
                data = code + bytes(spec.immediate)
                last = list(disassembler.disasm(data, 0))[-1]  # type: ignore[attr-defined]
                memory = next(o for o in last.operands if o.type == capstone.x86.X86_OP_MEM)
                assert NUMBER[last.reg_name(memory.mem.base)] == wanted
                assert memory.mem.disp == disp
                if wanted_index >= 0:
                    assert NUMBER[last.reg_name(memory.mem.index)] == wanted_index
                assert 9 in numbers(last)
