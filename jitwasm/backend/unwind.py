"""Unwinding a copied stack by `.eh_frame` (System V ABI; DWARF 5, section 6.4).

Code without that section is the baseline tier's, which has frame pointers. For the rest, only what
LLVM emits for x86-64 with `uwtable`: one CIE, FDEs with pc-relative addresses, the CFA in
a register plus an offset, callee-saved registers stored at offsets from it. Everything is lazy: an
object's section is parsed when the first trap with a frame in it is asked for its backtrace.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Sequence

from jitwasm.backend.elf import ObjectFile
from jitwasm.backend.loader import ImageMap
from jitwasm.records import record

__all__ = ["unwind"]

_DWARF_REGISTERS = {3: "rbx", 6: "rbp", 7: "rsp", 12: "r12", 13: "r13", 14: "r14", 15: "r15"}
_RETURN_ADDRESS = 16

_Rules = tuple[int, int, "dict[int, int]"]  # register and offset of the CFA; where registers lie


class _UnknownError(Exception):
    """The tables say something this unwinder does not know: the backtrace ends here."""


@record(frozen=True)
class _Fde:
    """The unwinding rules of one function: its code range, and its two CFA programs."""

    start: int
    end: int
    initial: bytes
    program: bytes
    code_align: int
    data_align: int


def unwind(
    maps: Sequence[ImageMap], registers: dict[str, int], stack: bytes
) -> Iterator[tuple[ImageMap, int]]:
    """The frames of our code, innermost first: (image, address of an instruction in it).

    Args:
        maps: the images there were.
        registers: where it stopped.
        stack: the stack's contents from `rsp` up.
    """
    state, low = dict(registers), registers["rsp"]
    pc = state["rip"]
    innermost = True
    while True:
        # A return address may lie behind the function's end, if the call does not return.
        at = pc if innermost else pc - 1
        image = next((m for m in maps if m.lo <= at < m.hi), None)
        if image is None:
            return
        yield image, at
        try:
            pc = _step(image, at, state, stack, low)
        except (_UnknownError, IndexError, struct.error):
            return
        innermost = False


def _step(image: ImageMap, pc: int, state: dict[str, int], stack: bytes, low: int) -> int:
    """Undo one frame: `state` becomes the caller's registers; returns where it goes on."""
    register, offset, saved = _rules_at(image, pc)
    cfa = state[_DWARF_REGISTERS[register]] + offset
    values = {number: _word(stack, cfa + at - low) for number, at in saved.items()}
    for number, value in values.items():
        if number != _RETURN_ADDRESS and number in _DWARF_REGISTERS:
            state[_DWARF_REGISTERS[number]] = value
    state["rsp"] = cfa
    return values[_RETURN_ADDRESS]


def _word(stack: bytes, offset: int) -> int:
    if offset < 0:
        raise _UnknownError
    return int(struct.unpack_from("<Q", stack, offset)[0])


def _rules_at(image: ImageMap, pc: int) -> _Rules:
    if not image.objects:
        return _frame_pointer_rules(image, pc)
    for obj, places in image.objects:
        for index, address in places.items():
            if address <= pc < address + obj.sections[index].size:
                if not any(section.unwinding for section in obj.sections):
                    return _frame_pointer_rules(image, pc)
                for fde in _fdes(obj, tuple(sorted(places.items()))):
                    if fde.start <= pc < fde.end:
                        return _run(fde, pc)
    raise _UnknownError


def _frame_pointer_rules(image: ImageMap, pc: int) -> _Rules:
    """Of baseline code: every function begins with `push rbp; mov rbp, rsp`."""
    found = image.function_at(pc)
    if found is None:
        raise _UnknownError
    rsp, rbp = 7, 6
    if pc == found[1]:
        return rsp, 8, {_RETURN_ADDRESS: -8}
    saved = {_RETURN_ADDRESS: -8, rbp: -16}
    return (rsp if pc == found[1] + 1 else rbp), 16, saved


def _run(fde: _Fde, pc: int) -> _Rules:
    """Execute the CFA program up to `pc`."""
    machine = _Machine(fde)
    machine.execute(fde.initial, None)
    machine.execute(fde.program, pc)
    return machine.register, machine.offset, machine.saved


class _Machine:
    """The state of a CFA program."""

    def __init__(self, fde: _Fde) -> None:
        self._fde = fde
        self.location = fde.start
        self.register, self.offset = 7, 8
        self.saved: dict[int, int] = {}
        self._stack: list[_Rules] = []

    def execute(self, program: bytes, pc: int | None) -> None:
        at = 0
        while at < len(program):
            opcode = program[at]
            high, operand = opcode & 0xC0, opcode & 0x3F
            at += 1
            if high == 0x40 or opcode in (0x02, 0x03, 0x04):  # advance_loc, …1, …2, …4
                size = 0 if high else (0, 0, 1, 2, 4)[opcode]
                delta = operand if high else int.from_bytes(program[at : at + size], "little")
                at += size
                self.location += delta * self._fde.code_align
                if pc is not None and self.location > pc:
                    return
            elif high == 0x80:  # offset
                factor, at = _uleb(program, at)
                self.saved[operand] = factor * self._fde.data_align
            elif high == 0xC0:  # restore
                self.saved.pop(operand, None)
            else:
                at = self._execute_extended(opcode, program, at)

    def _execute_extended(self, opcode: int, program: bytes, at: int) -> int:
        if opcode == 0x00:  # nop
            pass
        elif opcode == 0x0A:  # remember_state
            self._stack.append((self.register, self.offset, dict(self.saved)))
        elif opcode == 0x0B:  # restore_state
            self.register, self.offset, self.saved = self._stack.pop()
        elif opcode == 0x0C:  # def_cfa
            self.register, at = _uleb(program, at)
            self.offset, at = _uleb(program, at)
        elif opcode == 0x0D:  # def_cfa_register
            self.register, at = _uleb(program, at)
        elif opcode == 0x0E:  # def_cfa_offset
            self.offset, at = _uleb(program, at)
        elif opcode == 0x2E:  # GNU_args_size
            _, at = _uleb(program, at)
        else:
            raise _UnknownError
        return at


@functools.lru_cache(maxsize=64)
def _fdes(obj: ObjectFile, places: tuple[tuple[int, int], ...]) -> tuple[_Fde, ...]:
    """All unwinding rules of an object, its sections being loaded at `places`."""
    index = next((i for i, s in enumerate(obj.sections) if s.unwinding), None)
    if index is None:
        return ()
    addresses = dict(places)
    starts: dict[int, int] = {}  # offset in the section -> address of the function
    for target, rows in obj.relocations():
        if target == index:
            for offset, _, number, addend in rows:
                symbol = obj.symbols[number]
                if symbol.section in addresses:
                    starts[offset] = addresses[symbol.section] + symbol.value + addend
    return tuple(_parse(obj.contents(obj.sections[index]), starts))


def _parse(data: bytes, starts: dict[int, int]) -> Iterator[_Fde]:
    cies: dict[int, tuple[bytes, int, int]] = {}
    at = 0
    while at + 8 <= len(data):
        length, pointer = struct.unpack_from("<II", data, at)
        end = at + 4 + length
        if length == 0:
            return
        if pointer == 0:
            cies[at] = _parse_cie(data, at + 8, end)
        elif at + 8 in starts:
            initial, code_align, data_align = cies[at + 4 - pointer]
            start = starts[at + 8]
            size = struct.unpack_from("<I", data, at + 12)[0]
            skip, begin = _uleb(data, at + 16)
            program = data[begin + skip : end]
            yield _Fde(start, start + size, initial, program, code_align, data_align)
        at = end


def _parse_cie(data: bytes, at: int, end: int) -> tuple[bytes, int, int]:
    zero = data.index(b"\0", at + 1)
    augmentation = data[at + 1 : zero]
    code_align, at = _uleb(data, zero + 1)
    data_align, at = _sleb(data, at)
    _, at = _uleb(data, at)  # the return address's column
    if augmentation.startswith(b"z"):
        skip, at = _uleb(data, at)
        at += skip
    return data[at:end], code_align, data_align


def _uleb(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return result, at


def _sleb(data: bytes, at: int) -> tuple[int, int]:
    result, end = _uleb(data, at)
    bits = 7 * (end - at)
    return (result - (1 << bits) if result >> (bits - 1) else result), end
