"""Memory instructions. Bounds are checked by guard pages where abi.py says so, else by comparison;
the bulk instructions are runtime helpers."""

from __future__ import annotations

from jitwasm.abi import (
    DATA_SEGMENT,
    MEMORY32_GUARD,
    MEMORY32_RESERVED,
    MEMORY64_GUARD,
    MEMORY64_RESERVED,
    MEMORY_RECORD,
)
from jitwasm.backend.baseline.assembler import (
    INSTRUCTIONS,
    MEMORY,
    VMCTX,
    Condition,
    Instruction,
    imm32,
    move_immediate,
)
from jitwasm.backend.baseline.calls import Source, call_helper, pointer, segment
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.integers import LOCAL_SET, LOCAL_TEE, target_of
from jitwasm.backend.baseline.isa import InstructionSet
from jitwasm.backend.baseline.operands import (
    CONST,
    F32,
    F64,
    I32,
    I64,
    KIND,
    PAYLOAD,
    REG,
)
from jitwasm.trapcodes import TrapCode
from jitwasm.types import I64 as I64_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["address", "rows_of"]

_LIMIT: Final = 0x7FFFFF00
"""Static offsets below it fit into a displacement, with room for the parts of an access."""
_SHR64: Final = INSTRUCTIONS["shr64i"].rr
_MOV64: Final = INSTRUCTIONS["mov64"]


class Access:
    """A load or store: the instruction, the value's type, its bytes; of integer stores the form
    with an immediate and that immediate's bytes. `fused`: instructions that may have what is loaded
    as their second operand, by opcode."""

    __slots__ = ("constant", "constant_size", "fused", "op", "size", "type")

    def __init__(
        self,
        op: Instruction,
        type: int,
        size: int,
        constant: Instruction | None,
        constant_size: int,
    ) -> None:
        self.op = op
        self.type = type
        self.size = size
        self.constant = constant
        self.constant_size = constant_size
        self.fused: dict[int, Instruction] = {}


def read_memarg(f: FunctionCompiler, pos: int) -> tuple[int, int, int]:
    """(memidx, offset, position behind)."""
    flags, pos = f.u32(pos)
    memidx = 0
    if flags & 0x40:
        memidx, pos = f.u32(pos)
    offset, pos = f.u32(pos)
    return memidx, offset, pos


def load(f: FunctionCompiler, pos: int, row: Access) -> int:
    op, type_ = row.op, row.type
    code = f.code
    offset = code[pos + 1]
    operand = f.stack.pop()
    if offset < 0x80 and code[pos] < 0x40:
        memidx = 0
        pos += 2
    else:
        memidx, offset, pos = read_memarg(f, pos)
    if memidx or offset >= _LIMIT or f.program.memory_base < 0:
        base = effective_address(f, memidx, offset, row.size, operand)
        f.drop(base)
        access = op.rb
        key = base << 4
    else:
        f.uses_memory = True
        kind = operand & KIND
        access = op.rx
        if kind == REG:
            index = operand >> PAYLOAD
            f.free |= 1 << index
        elif kind == CONST and 0 <= operand >> PAYLOAD < _LIMIT - offset:
            access = op.rb
            offset += operand >> PAYLOAD
            index = MEMORY
        else:
            index = f.reg(operand)
            f.drop(index)
        key = (offset << 4 | index) << 4
    if type_ < 2:
        if LOCAL_SET <= code[pos] <= LOCAL_TEE:
            # The address register is still needed.
            busy = 1 << (key >> 4 & 15) & f.free
            f.free ^= busy
            i = target_of(f, pos)
            f.free |= busy
            if i >= 0:
                f.out += access[key | f.pins[i]]
                if code[pos] == LOCAL_TEE:
                    f.stack.append(f.locals[i])
                return pos + 2
        if access is op.rx and code[pos] in row.fused and f.stack[-1] & KIND == REG:
            # It is the second operand of an instruction that leaves the first one's register.
            f.out += row.fused[code[pos]].rx[key | f.stack[-1] >> PAYLOAD]
            return pos + 1
        reg = f.tmp()
        f.out += access[key | reg]
        f.stack.append(reg << PAYLOAD | type_ << 3 | REG)
        return pos
    if access is op.rx and code[pos] in row.fused:
        return _load_operand(f, pos + 1, row.fused[code[pos]], type_, key)
    return _load_float(f, pos, access, type_, key)


def _load_float(
    f: FunctionCompiler, pos: int, access: dict[int, bytes], type_: int, key: int
) -> int:
    i = target_of(f, pos)
    if i < 0:
        reg = f.xtmp()
        f.out += access[key | reg]
        f.push_xmm(type_, reg)
        return pos
    f.out += access[key | f.pins[i]]
    if f.code[pos] == LOCAL_TEE:
        f.stack.append(f.locals[i])
    return pos + 2


def _load_operand(f: FunctionCompiler, pos: int, op: Instruction, type_: int, key: int) -> int:
    """The loaded value is the second operand of an arithmetic instruction on floats, behind which
    the position is."""
    first = f.xreg(f.stack.pop())
    i = target_of(f, pos)
    f.xdrop(first)
    target = f.pins[i] if i >= 0 else f.xtmp()
    f.out += op.vx[key << 4 | first << 4 | target]
    if i < 0:
        f.push_xmm(type_, target)
        return pos
    if f.code[pos] == LOCAL_TEE:
        f.stack.append(f.locals[i])
    return pos + 2


def store(f: FunctionCompiler, pos: int, row: Access) -> int:
    op, type_ = row.op, row.type
    code = f.code
    offset = code[pos + 1]
    value = f.stack.pop()
    operand = f.stack.pop()
    if offset < 0x80 and code[pos] < 0x40:
        memidx = 0
        pos += 2
    else:
        memidx, offset, pos = read_memarg(f, pos)
    far = memidx or offset >= _LIMIT or f.program.memory_base < 0
    if far:
        index = effective_address(f, memidx, offset, row.size, operand)
        key = index << 4
    else:
        f.uses_memory = True
        index = f.reg(operand)
        key = (offset << 4 | index) << 4
    if row.constant is not None and value & KIND == CONST:
        number = value >> PAYLOAD
        if -0x80000000 <= number <= 0x7FFFFFFF:
            constant = row.constant
            f.out += constant.rb[key] if far else constant.rx[key]
            f.out += imm32(number)[: row.constant_size]
            f.drop(index)
            return pos
    if type_ < 2:
        reg = f.reg(value)
        f.drop(reg)
    else:
        reg = f.xreg(value)
        f.xdrop(reg)
    f.drop(index)
    f.out += op.rb[key | reg] if far else op.rx[key | reg]
    return pos


def address(f: FunctionCompiler, pos: int, size: int) -> tuple[int, int, int, int]:
    """Pop an index and read a memory argument: (base, index or -1, displacement, position behind).

    The register is given back already: it is to be used at once.
    """
    operand = f.stack.pop()
    memidx, offset, pos = read_memarg(f, pos)
    if memidx or offset >= _LIMIT or f.program.memory_base < 0:
        base = effective_address(f, memidx, offset, size, operand)
        f.drop(base)
        return base, -1, 0, pos
    f.uses_memory = True
    index = f.reg(operand)
    f.drop(index)
    return MEMORY, index, offset, pos


def effective_address(
    f: FunctionCompiler, memidx: int, offset: int, size: int, operand: int
) -> int:
    """A temporary register with the address of `size` bytes, checked; uses up the operand."""
    program = f.program
    layout = program.layout
    wide = program.declarations.memories[memidx].addr is I64_TYPE
    index = f.own(operand)
    extent = offset + size
    slack = MEMORY64_GUARD if wide else MEMORY32_RESERVED + MEMORY32_GUARD - (1 << 32)
    if program.explicit or extent > slack:
        _compare_with_size(f, memidx, index, extent)
    elif wide:
        limit = f.tmp()
        f.out += move_immediate(limit, MEMORY64_RESERVED, True)
        f.out += INSTRUCTIONS["cmp64"].rr[index << 4 | limit]
        f.drop(limit)
        f.trap_if(Condition.AE, TrapCode.OUT_OF_BOUNDS_MEMORY)
    if offset:
        # The check has passed, or the sum is below 2^64.
        extra = f.tmp()
        f.out += move_immediate(extra, offset, True)
        f.out += INSTRUCTIONS["add64"].rr[index << 4 | extra]
        f.drop(extra)
    f.out += INSTRUCTIONS["add64"].rb[(layout.memory_base(memidx) << 4 | VMCTX) << 4 | index]
    return index


def _compare_with_size(f: FunctionCompiler, memidx: int, index: int, extent: int) -> None:
    if extent >> 64:
        f.trap(TrapCode.OUT_OF_BOUNDS_MEMORY)
        return
    end, record = f.tmp(), f.tmp()
    out = f.out
    out += move_immediate(end, extent, True)
    out += INSTRUCTIONS["add64"].rr[end << 4 | index]
    f.trap_if(Condition.B, TrapCode.OUT_OF_BOUNDS_MEMORY)
    out += _MOV64.rb[(f.program.layout.memory_record(memidx) << 4 | VMCTX) << 4 | record]
    out += INSTRUCTIONS["cmp64"].rb[(MEMORY_RECORD.offset["bytes"] << 4 | record) << 4 | end]
    f.trap_if(Condition.A, TrapCode.OUT_OF_BOUNDS_MEMORY)
    f.drop(end)
    f.drop(record)


# -- the size, and the bulk instructions -----------------------------------------------------------


def _type(f: FunctionCompiler, memidx: int) -> int:
    return I64 if f.program.declarations.memories[memidx].addr is I64_TYPE else I32


def _record(f: FunctionCompiler, memidx: int) -> Source:
    return pointer(f.program.layout.memory_record(memidx))


def size(f: FunctionCompiler, pos: int, row: None) -> int:
    memidx, pos = f.u32(pos)
    reg = f.tmp()
    record = f.program.layout.memory_record(memidx)
    f.out += _MOV64.rb[(record << 4 | VMCTX) << 4 | reg]
    f.out += _MOV64.rb[(MEMORY_RECORD.offset["bytes"] << 4 | reg) << 4 | reg]
    shift = f.program.declarations.memories[memidx].page_size.bit_length() - 1
    f.out += _SHR64[reg] + bytes([shift])
    f.push_reg(_type(f, memidx), reg)
    return pos


def grow(f: FunctionCompiler, pos: int, row: None) -> int:
    memidx, pos = f.u32(pos)
    call_helper(f, "jw_memory_grow", [_record(f, memidx)], 1, _type(f, memidx))
    return pos


def fill(f: FunctionCompiler, pos: int, row: None) -> int:
    memidx, pos = f.u32(pos)
    call_helper(f, "jw_memory_fill", [_record(f, memidx)], 3)
    return pos


def copy(f: FunctionCompiler, pos: int, row: None) -> int:
    target, pos = f.u32(pos)
    source, pos = f.u32(pos)
    call_helper(f, "jw_memory_copy", [_record(f, target), _record(f, source)], 3)
    return pos


def init(f: FunctionCompiler, pos: int, row: None) -> int:
    dataidx, pos = f.u32(pos)
    memidx, pos = f.u32(pos)
    data = segment(f.program.layout.data_segment(dataidx))
    call_helper(f, "jw_memory_init", [_record(f, memidx), data], 3)
    return pos


def data_drop(f: FunctionCompiler, pos: int, row: None) -> int:
    dataidx, pos = f.u32(pos)
    at = f.program.layout.data_segment(dataidx) + DATA_SEGMENT.offset["size"]
    f.out += INSTRUCTIONS["store64i"].rb[(at << 4 | VMCTX) << 4] + imm32(0)
    return pos


_FUSED: Final[dict[str, dict[int, str]]] = {
    "i32.load": {
        0x6A: "add32", 0x6B: "sub32", 0x6C: "imul32", 0x71: "and32", 0x72: "or32", 0x73: "xor32",
    },
    "i64.load": {
        0x7C: "add64", 0x7D: "sub64", 0x7E: "imul64", 0x83: "and64", 0x84: "or64", 0x85: "xor64",
    },
    "f32.load": {0x92: "addss", 0x93: "subss", 0x94: "mulss", 0x95: "divss"},
    "f64.load": {0xA0: "addsd", 0xA1: "subsd", 0xA2: "mulsd", 0xA3: "divsd"},
}  # fmt: skip


def rows_of(isa: InstructionSet) -> dict[str, Handler]:
    """The memory instructions, those for vectors apart."""
    rows: dict[str, Handler] = {
        "memory.size": (size, None),
        "memory.grow": (grow, None),
        "memory.fill": (fill, None),
        "memory.copy": (copy, None),
        "memory.init": (init, None),
        "data.drop": (data_drop, None),
    }
    for name, op, type_, bytes_ in (
        ("i32.load", "mov32", I32, 4),
        ("i64.load", "mov64", I64, 8),
        ("f32.load", "load_f32", F32, 4),
        ("f64.load", "load_f64", F64, 8),
        ("i32.load8_s", "movsx8_32", I32, 1),
        ("i32.load8_u", "movzx8", I32, 1),
        ("i32.load16_s", "movsx16_32", I32, 2),
        ("i32.load16_u", "movzx16", I32, 2),
        ("i64.load8_s", "movsx8_64", I64, 1),
        ("i64.load8_u", "movzx8", I64, 1),
        ("i64.load16_s", "movsx16_64", I64, 2),
        ("i64.load16_u", "movzx16", I64, 2),
        ("i64.load32_s", "movsxd", I64, 4),
        ("i64.load32_u", "mov32", I64, 4),
    ):
        access = Access(isa[op], type_, bytes_, None, 0)
        for opcode, fused in _FUSED.get(name, {}).items():
            access.fused[opcode] = isa[fused]
        rows[name] = (load, access)
    for name, op, type_, bytes_, constant_size in (
        ("i32.store", "store32", I32, 4, 4),
        ("i64.store", "store64", I64, 8, 4),
        ("f32.store", "store_f32", F32, 4, 0),
        ("f64.store", "store_f64", F64, 8, 0),
        ("i32.store8", "store8", I32, 1, 1),
        ("i32.store16", "store16", I32, 2, 2),
        ("i64.store8", "store8", I64, 1, 1),
        ("i64.store16", "store16", I64, 2, 2),
        ("i64.store32", "store32", I64, 4, 4),
    ):
        constant = isa[op + "i"] if constant_size else None
        rows[name] = (store, Access(isa[op], type_, bytes_, constant, constant_size))
    return rows
