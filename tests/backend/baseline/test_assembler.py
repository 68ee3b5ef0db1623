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
                    continue  # with registers they merge; never used
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
