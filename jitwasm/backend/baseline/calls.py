"""Calls: of functions, through references, tail calls, and of the runtime's helpers.

Helpers are reached through the store: `vmctx->store->helpers[number]`, in the order of libcalls.py.
"""

from __future__ import annotations

from jitwasm.abi import ENV, FUNCREF, RTT, STORE_STATE, TABLE_RECORD
from jitwasm.backend.baseline.assembler import (
    INSTRUCTIONS,
    R8,
    R9,
    RAX,
    RCX,
    RDI,
    RDX,
    RSI,
    VMCTX,
    Condition,
)
from jitwasm.backend.baseline.control import stop
from jitwasm.backend.baseline.function import FunctionCompiler, Handler
from jitwasm.backend.baseline.integers import LOCAL_TEE, target_of
from jitwasm.backend.baseline.moves import move_arguments, parallel_move
from jitwasm.backend.baseline.operands import (
    I32,
    I64,
    INT_RESULTS,
    PAYLOAD,
    REG,
    SLOT,
    TEMP_MASK,
    XMM,
    XMM_MASK,
)
from jitwasm.backend.baseline.program import FLOAT, INT, OVERFLOW, CallPlan
from jitwasm.libcalls import LIBCALLS
from jitwasm.trapcodes import TrapCode
from jitwasm.types import I64 as I64_TYPE
from jitwasm.types import matches, ref_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["ROWS", "Source", "call_helper", "pointer", "segment", "table_element"]

_MOV64: Final = INSTRUCTIONS["mov64"]
_MOV64_RB: Final = _MOV64.rb
_MOV32: Final = INSTRUCTIONS["mov32"].rr
_CALL: Final = INSTRUCTIONS["call"].rb
_JMP: Final = INSTRUCTIONS["jmp"].rb
_TEST64: Final = INSTRUCTIONS["test64"].rr
_CMP64: Final = INSTRUCTIONS["cmp64"]
_CMP32I: Final = INSTRUCTIONS["cmp32i"].ri
_CMP64I: Final = INSTRUCTIONS["cmp64i"].ri
_LEA_ELEMENT: Final = INSTRUCTIONS["lea64"].scaled(3)
_TABLE_SIZE: Final[int] = TABLE_RECORD.offset["size"]
_MOVE_ENV: Final = _MOV64.rr[RDI << 4 | VMCTX]
_WIDEN_RAX: Final = _MOV32[RAX << 4 | RAX]


class Callee:
    """Code that loads the environment into rdi, and that calls or jumps.

    `funcref`: both go through a FuncRef in rax. `own`: the environment is our own.
    """

    __slots__ = ("call", "environment", "funcref", "own")

    def __init__(self, environment: bytes, call: bytes, funcref: bool, own: bool) -> None:
        self.environment = environment
        self.call = call
        self.funcref = funcref
        self.own = own


def _known(f: FunctionCompiler, funcidx: int, tail: bool) -> Callee:
    key = funcidx << 1 | tail
    found = f.program.callees.get(key)
    if found is None:
        found = f.program.callees[key] = _make_callee(f, funcidx, tail)
    return found


def _make_callee(f: FunctionCompiler, funcidx: int, tail: bool) -> Callee:
    layout = f.program.layout
    transfer = _JMP if tail else _CALL
    if funcidx < f.program.declarations.imported_functions:
        slot = layout.import_slot(funcidx)
        if tail:
            # Our frame has gone when it is used, but vmctx has not: rdi held it.
            load = _MOV64.rb[(slot << 4 | VMCTX) << 4 | RAX]
            environment = load + _MOV64.rb[((slot + 8) << 4 | VMCTX) << 4 | RDI]
            return Callee(environment, bytes([0xFF, 0xE0]), False, False)
        environment = _MOV64.rb[((slot + 8) << 4 | VMCTX) << 4 | RDI]
        return Callee(environment, transfer[(slot << 4 | VMCTX) << 4], False, False)
    slot = layout.function_slot(funcidx)
    base = RDI if tail else VMCTX
    return Callee(_MOVE_ENV, transfer[(slot << 4 | base) << 4], False, True)


def _through_funcref(tail: bool) -> Callee:
    environment = _MOV64.rb[(FUNCREF.offset["env"] << 4 | RAX) << 4 | RDI]
    transfer = _JMP if tail else _CALL
    code = transfer[(FUNCREF.offset["code"] << 4 | RAX) << 4]
    return Callee(environment, code, True, False)


_THROUGH_FUNCREF: Final = _through_funcref(False)


# -- arguments -----------------------------------------------------------------------------------


def _move_arguments(f: FunctionCompiler, plan: CallPlan, callee: Callee) -> None:
    """Arguments from the stack to where they are expected, and the environment to rdi."""
    stack = f.stack
    height = len(stack) - len(plan.params)
    if plan.overflow_params:
        f.spill_below(len(stack))
        f.out += callee.environment if not callee.own else b""
        env = VMCTX if callee.own else RDI
        area = R9
        f.out += _MOV64.rb[(ENV.offset["overflow"] << 4 | env) << 4 | area]
        for operand, (_, where, number) in zip(stack[height:], plan.params, strict=True):
            if where == OVERFLOW:
                f.store_far(area, 16 * number, operand)
    arguments = stack[height:]
    del stack[height:]
    if height:
        f.spill_registers(height)
    if arguments:
        move_arguments(f, arguments, plan.targets)


def _emit_call(f: FunctionCompiler, plan: CallPlan, callee: Callee, pos: int) -> int:
    """A call; the position is that of the next instruction, of which it may take care too."""
    scratch = 0
    if plan.overflow_results and not callee.own:
        # The environment once more after the call, for the results.
        scratch = f.slot(len(f.stack) + len(plan.results) + 1)
    _move_arguments(f, plan, callee)
    if f.save:
        f.out += f.save
    f.out += callee.environment
    if scratch:
        f.out += INSTRUCTIONS["store64"].rf[scratch << 4 | RDI]
    f.out += callee.call
    if f.restore:
        f.out += f.restore
    f.free = TEMP_MASK
    f.xfree = XMM_MASK
    results = plan.results
    if len(results) == 1:
        type_ = results[0][0]
        if type_ < 2:
            f.free &= ~(1 << RAX)
            i = target_of(f, pos)
            if i >= 0:
                f.free |= 1 << RAX
                f.out += (_MOV64.rr if type_ else _MOV32)[f.pins[i] << 4 | RAX]
                if f.code[pos] == LOCAL_TEE:
                    f.stack.append(f.locals[i])
                return pos + 2
            if type_ == I32:
                f.out += _WIDEN_RAX
            f.stack.append(RAX << PAYLOAD | type_ << 3 | REG)
        else:
            f.xfree &= ~1
            f.push_xmm(type_, 0)
    elif results:
        _take_results(f, plan, scratch)
    return pos


def _take_results(f: FunctionCompiler, plan: CallPlan, scratch: int) -> None:
    far: list[tuple[int, int, int]] = []
    for type_, where, number in plan.results:
        if where == INT:
            reg = INT_RESULTS[number]
            if type_ == I32:
                f.out += _MOV32[reg << 4 | reg]
            f.free &= ~(1 << reg)
            f.stack.append(reg << PAYLOAD | type_ << 3 | REG)
        elif where == FLOAT:
            f.xfree &= ~(1 << number)
            f.stack.append(number << PAYLOAD | type_ << 3 | XMM)
        else:
            far.append((len(f.stack), type_, number))
            f.stack.append(len(f.stack) << PAYLOAD | type_ << 3 | SLOT)
    if not far:
        return
    area = f.tmp()
    env = VMCTX
    if scratch:
        f.out += f.isa.frame_load[I64][scratch << 4 | area]
        env = area
    f.out += _MOV64.rb[(ENV.offset["overflow"] << 4 | env) << 4 | area]
    for position, type_, number in far:
        source = 16 * number << 4 | area
        for part in (0, 8) if type_ == 4 else (0,):
            f.out += INSTRUCTIONS["push"].rb[(source + (part << 4)) << 4]
            f.out += INSTRUCTIONS["pop"].rf[(f.slot(position) + part) << 4]
    f.drop(area)


def _emit_tail_call(f: FunctionCompiler, plan: CallPlan, callee: Callee, pos: int) -> int:
    """The frame goes, then a jump. Results in another overflow area have to be fetched from there,
    so with those it is an ordinary call, unless the environment is our own."""
    if plan.overflow_results and not callee.own:
        ordinary = Callee(
            callee.environment,
            bytes([0xFF, 0xD0]) if not callee.funcref else _CALL[RAX << 4],
            callee.funcref,
            False,
        )
        _emit_call(f, plan, ordinary, len(f.code) - 1)
        frame = f.frames[0]
        f.move_results(frame)
        f.jump(frame)
        return stop(f, pos)
    _move_arguments(f, plan, callee)
    f.out += callee.environment + b"\xe9\0\0\0\0"
    f.tails.append((len(f.out) - 4, callee.call))
    return stop(f, pos)


def call(f: FunctionCompiler, pos: int, row: None) -> int:
    funcidx, pos = f.u32(pos)
    return _emit_call(f, f.program.plans[funcidx], _known(f, funcidx, False), pos)


def return_call(f: FunctionCompiler, pos: int, row: None) -> int:
    funcidx, pos = f.u32(pos)
    return _emit_tail_call(f, f.program.plans[funcidx], _known(f, funcidx, True), pos)


# -- through references --------------------------------------------------------------------------


def _pop_to(f: FunctionCompiler, reg: int) -> None:
    """The top operand to this register, which is then taken."""
    operand = f.stack.pop()
    if operand != reg << PAYLOAD | operand & 0x38 | REG:
        f.take(reg)
        f.load(reg, operand)
        f.release(operand)


def table_element(f: FunctionCompiler, tableidx: int, operand: int, code: TrapCode) -> int:
    """A temporary register with the address of a table's element; the index is checked."""
    program = f.program
    index = f.own(operand)
    size = program.table_sizes[tableidx]
    if size >= 0:
        compare = _CMP64I if operand >> 3 & 7 == I64 else _CMP32I
        f.out += compare[size << 4 | index]
    else:
        record = f.tmp()
        f.out += _MOV64_RB[(program.table_records[tableidx] << 4 | VMCTX) << 4 | record]
        f.out += _CMP64.rb[(_TABLE_SIZE << 4 | record) << 4 | index]
        f.drop(record)
    f.trap_if(Condition.AE, code)
    base = f.tmp()
    f.out += _MOV64_RB[(program.table_bases[tableidx] << 4 | VMCTX) << 4 | base]
    f.out += _LEA_ELEMENT[(index << 4 | base) << 4 | index]
    f.drop(base)
    return index


class Indirect:
    """What `call_indirect` with a type and a table comes to: the operand that its index is in rax,
    and what has to be checked of what the table holds."""

    __slots__ = ("index", "may_be_null", "may_differ", "plan")

    def __init__(self, index: int, may_be_null: bool, may_differ: bool, plan: CallPlan) -> None:
        self.index = index
        self.may_be_null = may_be_null
        self.may_differ = may_differ
        self.plan = plan


def _make_indirect(f: FunctionCompiler, typeidx: int, tableidx: int) -> Indirect:
    declarations = f.program.declarations
    table, wanted = declarations.tables[tableidx], declarations.types[typeidx]
    index = RAX << PAYLOAD | (I64 if table.addr is I64_TYPE else I32) << 3 | REG
    may_differ = not matches(table.element, ref_type(True, wanted))
    return Indirect(index, table.element.nullable, may_differ, f.program.plan(wanted))


def _indirect(f: FunctionCompiler, pos: int) -> tuple[CallPlan, int]:
    """Pop the index of `call_indirect` and leave the FuncRef, checked, in rax."""
    typeidx, pos = f.u32(pos)
    tableidx, pos = f.u32(pos)
    key = typeidx << 32 | tableidx
    known: Indirect | None = f.program.indirect.get(key)
    if known is None:
        known = f.program.indirect[key] = _make_indirect(f, typeidx, tableidx)
    _pop_to(f, RAX)
    place = table_element(f, tableidx, known.index, TrapCode.UNDEFINED_ELEMENT)
    f.out += _MOV64_RB[place << 4 | RAX]
    if known.may_be_null:
        f.out += _TEST64[RAX << 4 | RAX]
        f.trap_if(Condition.E, TrapCode.UNINITIALIZED_ELEMENT)
    if known.may_differ:
        _check_type(f, typeidx)
    return known.plan, pos


def _check_type(f: FunctionCompiler, typeidx: int) -> None:
    """Trap unless the type of the FuncRef in rax is the wanted one, or a subtype if it is open."""
    wanted = f.program.declarations.types[typeidx]
    rtt = f.program.first_rtt + 8 * typeidx
    found = f.tmp()
    out = f.out
    out += _MOV64.rb[(FUNCREF.offset["type"] << 4 | RAX) << 4 | found]
    if not wanted.final:
        display = RTT.offset["display"]
        if wanted.depth >= 8:
            # Only the first eight places are always there.
            out += _compare_depth(found, wanted.depth)
            f.trap_if(Condition.B, TrapCode.INDIRECT_CALL_TYPE_MISMATCH)
        out += _MOV64.rb[((display + 8 * wanted.depth) << 4 | found) << 4 | found]
    out += _CMP64.rb[(rtt << 4 | VMCTX) << 4 | found]
    f.trap_if(Condition.NE, TrapCode.INDIRECT_CALL_TYPE_MISMATCH)
    f.drop(found)


def _compare_depth(rtt: int, depth: int) -> bytes:
    """cmp dword [rtt + depth], depth"""
    code = INSTRUCTIONS["cmp32i"].spec.memory(0, rtt, RTT.offset["depth"])
    return code + depth.to_bytes(4, "little")


def call_indirect(f: FunctionCompiler, pos: int, row: None) -> int:
    plan, pos = _indirect(f, pos)
    return _emit_call(f, plan, _THROUGH_FUNCREF, pos)


def return_call_indirect(f: FunctionCompiler, pos: int, row: None) -> int:
    plan, pos = _indirect(f, pos)
    return _emit_tail_call(f, plan, _through_funcref(True), pos)


def _reference(f: FunctionCompiler, pos: int) -> tuple[CallPlan, int]:
    typeidx, pos = f.u32(pos)
    _pop_to(f, RAX)
    f.out += _TEST64[RAX << 4 | RAX]
    f.trap_if(Condition.E, TrapCode.NULL_FUNCTION_REFERENCE)
    return f.program.plan(f.program.declarations.types[typeidx]), pos


def call_ref(f: FunctionCompiler, pos: int, row: None) -> int:
    plan, pos = _reference(f, pos)
    return _emit_call(f, plan, _THROUGH_FUNCREF, pos)


def return_call_ref(f: FunctionCompiler, pos: int, row: None) -> int:
    plan, pos = _reference(f, pos)
    return _emit_tail_call(f, plan, _through_funcref(True), pos)


# -- helpers -------------------------------------------------------------------------------------

_C_ARGUMENTS: Final = (RDI, RSI, RDX, RCX, R8, R9)
_NUMBERS: Final = {name: number for number, name in enumerate(LIBCALLS)}


class Source:
    """An argument made from vmctx: a field's value or its address."""

    __slots__ = ("is_field", "offset")

    def __init__(self, offset: int, is_field: bool) -> None:
        self.offset = offset
        self.is_field = is_field


def pointer(offset: int) -> Source:
    """The value of a field of vmctx."""
    return Source(offset, True)


def segment(offset: int) -> Source:
    """The address of a structure in vmctx."""
    return Source(offset, False)


def call_helper(
    f: FunctionCompiler, name: str, sources: list[Source], count: int, result: int = -1
) -> None:
    """Call a helper with arguments from vmctx and then the `count` operands on top."""
    stack = f.stack
    height = len(stack) - count
    arguments = stack[height:]
    del stack[height:]
    f.spill_registers(height)
    targets = _C_ARGUMENTS[len(sources) :]
    parallel_move(f, list(zip(targets, arguments, strict=False)), [])
    for reg, source in zip(_C_ARGUMENTS, sources, strict=False):
        form = _MOV64.rb if source.is_field else INSTRUCTIONS["lea64"].rb
        f.out += form[(source.offset << 4 | VMCTX) << 4 | reg]
    f.out += f.save
    f.out += _MOV64.rb[(ENV.offset["store"] << 4 | VMCTX) << 4 | RAX]
    f.out += _MOV64.rb[(STORE_STATE.offset["helpers"] << 4 | RAX) << 4 | RAX]
    f.out += _CALL[(8 * _NUMBERS[name] << 4 | RAX) << 4]
    f.out += f.restore
    f.free = TEMP_MASK
    f.xfree = XMM_MASK
    if result >= 0:
        if result == I32:
            f.out += _WIDEN_RAX
        f.free &= ~(1 << RAX)
        f.push_reg(result, RAX)


ROWS: Final[dict[str, Handler]] = {
    "call": (call, None),
    "call_indirect": (call_indirect, None),
    "call_ref": (call_ref, None),
    "return_call": (return_call, None),
    "return_call_indirect": (return_call_indirect, None),
    "return_call_ref": (return_call_ref, None),
}
