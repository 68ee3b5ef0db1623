"""Control instructions (specification: Execution, "Control Instructions").

A block's label becomes an LLVM block only if something branches to it. Branches to the function's
own label by `br` are returns on the spot. Edges carry the operands of the label's types and the
locals; ssa.py makes the phis.
"""

from __future__ import annotations

from collections.abc import Sequence

from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.emit.call import emit_return
from jitwasm.frontend.emit.function import SHORT_LIST, FunctionEmitter
from jitwasm.frontend.immediates import read_block_type
from jitwasm.frontend.reader import Reader
from jitwasm.frontend.stacks import ControlFrame, Edge
from jitwasm.frontend.validate import frame_of, label_types
from jitwasm.trapcodes import TrapCode
from jitwasm.types import I32, ValType

__all__ = [
    "block",
    "br",
    "br_if",
    "br_table",
    "conditional_branch",
    "else_",
    "end",
    "if_",
    "loop",
    "nop",
    "return_",
    "start_function",
    "stop",
    "unreachable",
]

BLOCK, LOOP, IF, ELSE = 0x02, 0x03, 0x04, 0x05

Types = tuple[ValType, ...]


def start_function(f: FunctionEmitter) -> None:
    """Open the frame of the whole body."""
    f.push_ctrl(BLOCK, (), f.type.results, ())


def stop(f: FunctionEmitter) -> None:
    """The rest of the frame is unreachable."""
    f.unreachable()
    if f.reachable:
        f.die()


def unreachable(f: FunctionEmitter, pos: int, row: None) -> int:
    f.discard(f.frames[0], len(f.frames) - 1)
    f.line(f"br label %{f.trap_label(TrapCode.UNREACHABLE)}")
    stop(f)
    return pos


def nop(f: FunctionEmitter, pos: int, row: None) -> int:
    return pos


# -- frames --------------------------------------------------------------------------------------


def _block_type(f: FunctionEmitter, pos: int) -> tuple[Types, Types, int]:
    known = f.module.block_types.get(f.code[pos])
    if known is not None:
        return known[0], known[1], pos + 1
    reader = Reader(f.code, pos, None, f.base)
    type_ = read_block_type(reader, f.module.info.types, f.module.config.features)
    if reader.pos == pos + 1:
        f.module.block_types[f.code[pos]] = (type_.params, type_.results)
    return type_.params, type_.results, reader.pos


def _open(f: FunctionEmitter, opcode: int, start: Types, end: Types, vals: Sequence[str]) -> None:
    if len(start) + len(end) > SHORT_LIST:
        f.spend(len(start) + len(end))
    frame = f.push_ctrl(opcode, start, end, vals)
    frame.init_height = len(f.initialized)
    frame.known = f.known()
    if len(f.frames) > f.module.config.limits.nesting:
        raise InvalidError("blocks are nested too deeply")


def block(f: FunctionEmitter, pos: int, row: None) -> int:
    start, end, pos = _block_type(f, pos)
    _open(f, BLOCK, start, end, f.pop_vals(start))
    return pos


def loop(f: FunctionEmitter, pos: int, row: None) -> int:
    opcode_at = pos - 1
    start, end, pos = _block_type(f, pos)
    vals: Sequence[str] = f.pop_vals(start)
    assigned = next(f.assigned, frozenset[int]())
    if not f.reachable:
        _open(f, LOOP, start, end, vals)
        return pos
    label = f.new_label()
    if f.entry is not None and opcode_at in f.entry.loops:
        region = f.start_loop(label, f.entry.assigned, vals)
        f.open_loop(label, region.line - 1, around_entry=True)
        # What is in front has not run where control comes from the entry.
        f.forget((0, 0))
        for frame in f.frames:
            frame.known = (0, 0)
        if opcode_at == f.entry.loops[-1]:
            f.enter_loop(region)
    else:
        region = f.start_loop(label, assigned, vals)
        f.open_loop(label, region.line - 1)
    if start:
        vals = [f.loop_param(region, type_.ir) for type_ in start]
    _open(f, LOOP, start, end, vals)
    frame = f.frames[-1]
    frame.label = label
    frame.region = region
    frame.edges = region.edges
    return pos


def if_(f: FunctionEmitter, pos: int, row: None) -> int:
    start, end, pos = _block_type(f, pos)
    cond, negated = f.pop_cond()
    vals = f.pop_vals(start)
    _open(f, IF, start, end, vals)
    if f.reachable:
        frame = f.frames[-1]
        then = f.new_label()
        frame.otherwise = f.edge(vals)
        frame.fork = len(f.lines)
        targets = f"label %?, label %{then}" if negated else f"label %{then}, label %?"
        f.line(f"br i1 {cond}, {targets}")
        f.start_block(then)
    return pos


def _resolve_fork(f: FunctionEmitter, frame: ControlFrame, label: str) -> None:
    """The label that control goes to when the condition of an `if` is 0 is known now."""
    f.patch(frame.fork, "%?", f"%{label}")


def else_(f: FunctionEmitter, pos: int, row: None) -> int:
    frame = f.frames[-1]
    if frame.opcode != IF:
        raise MalformedError("unexpected 'else'")
    vals = f.end_vals()
    if f.reachable:
        _jump(f, frame, vals)
        f.die()
    f.forget(frame.known)
    frame.opcode = ELSE
    frame.unreachable = False
    f.reset_initialized(frame)
    start = frame.start_types
    if frame.otherwise is None:
        f.push_vals(start, ["poison"] * len(start))
        return pos
    label = f.new_label()
    _resolve_fork(f, frame, label)
    f.enter(frame.otherwise, label)
    f.push_vals(start, frame.otherwise.vals)
    frame.otherwise = None
    return pos


def end(f: FunctionEmitter, pos: int, row: None) -> int:
    frame = f.frames[-1]
    vals = f.end_vals()
    if frame.opcode == IF:
        _end_without_else(f, frame)
    if frame.opcode == LOOP:
        if frame.region is not None:
            f.end_loop(frame.region)
            f.close_loop(frame.region)
    elif frame.edges:
        if f.reachable:
            _jump(f, frame, vals)
        vals = f.join(frame.edges, frame.label, frame.end_types)
        f.forget(frame.known)
    if not f.reachable:
        vals = ["poison"] * len(frame.end_types)
    if f.initialized:
        f.reset_initialized(frame)
    f.pop_ctrl(vals)
    if not f.frames:
        _end_function(f, pos, vals)
    return pos


def _end_without_else(f: FunctionEmitter, frame: ControlFrame) -> None:
    """An `if` without `else` passes its parameters on where the condition is 0."""
    if frame.start_types != frame.end_types:
        # Subtyping: the parameters must be usable as the results.
        f.push_vals(frame.start_types, ["poison"] * len(frame.start_types))
        unreachable_, frame.unreachable = frame.unreachable, False
        f.end_vals()
        frame.unreachable = unreachable_
    if frame.otherwise is not None:
        _resolve_fork(f, frame, _label(f, frame))
        frame.edges.append(frame.otherwise)


def _end_function(f: FunctionEmitter, pos: int, vals: Sequence[str]) -> None:
    if pos != len(f.code):
        raise MalformedError("END opcode expected", f.base + pos)
    if f.reachable:
        emit_return(f, vals)


# -- branches ------------------------------------------------------------------------------------


def _label(f: FunctionEmitter, frame: ControlFrame) -> str:
    if not frame.label:
        frame.label = f.new_label()
    return frame.label


def _jump(f: FunctionEmitter, frame: ControlFrame, vals: Sequence[str]) -> None:
    frame.edges.append(f.edge(vals, final=True))
    f.line(f"br label %{_label(f, frame)}")


def br(f: FunctionEmitter, pos: int, row: None) -> int:
    labelidx, pos = f.u32(pos)
    frame = frame_of(f, labelidx)
    vals = f.pop_vals(label_types(frame))
    f.discard(frame, labelidx)
    if f.reachable:
        if frame is f.frames[0]:
            emit_return(f, vals)
        else:
            _jump(f, frame, vals)
    stop(f)
    return pos


def return_(f: FunctionEmitter, pos: int, row: None) -> int:
    vals = f.pop_vals(f.type.results)
    f.discard(f.frames[0], len(f.frames) - 1)
    if f.reachable:
        emit_return(f, vals)
    stop(f)
    return pos


def br_if(f: FunctionEmitter, pos: int, row: None) -> int:
    labelidx, pos = f.u32(pos)
    frame = frame_of(f, labelidx)
    cond, negated = f.pop_cond()
    types = label_types(frame)
    vals: Sequence[str] = ()
    if types:
        vals = f.pop_vals(types)
        f.push_vals(types, vals)
        if len(types) > SHORT_LIST:
            f.spend(len(types))
    f.discard(frame, labelidx, len(vals))
    conditional_branch(f, frame, cond, negated, vals)
    return pos


def conditional_branch(
    f: FunctionEmitter, frame: ControlFrame, cond: str, negated: bool, vals: Sequence[str]
) -> None:
    """Branch to the frame if an i1 operand is true (or false), else go on."""
    if not f.reachable:
        return
    frame.edges.append(f.edge(vals))
    label = _label(f, frame)
    go_on = f.new_label()
    first, second = (go_on, label) if negated else (label, go_on)
    f.line(f"br i1 {cond}, label %{first}, label %{second}")
    f.start_block(go_on)


def br_table(f: FunctionEmitter, pos: int, row: None) -> int:
    reader = Reader(f.code, pos, None, f.base)
    labels = f.module.immediates.labels(reader)
    index = f.pop(I32)
    vals = _check_branch_table(f, labels)
    outermost = max(labels)
    f.discard(frame_of(f, outermost), outermost)
    if f.reachable:
        _switch(f, index, labels, vals)
    stop(f)
    return reader.pos


def _check_branch_table(f: FunctionEmitter, labels: Sequence[int]) -> Sequence[str]:
    """All targets must take what is on the stack; the default's types are what is popped."""
    default = label_types(frame_of(f, labels[-1]))
    checked: set[int] = set()
    for labelidx in set(labels):
        types = label_types(frame_of(f, labelidx))
        if id(types) in checked:
            continue
        checked.add(id(types))
        if len(types) != len(default):
            raise InvalidError("type mismatch: the targets of br_table differ in arity")
        f.check_top(types)
    return f.pop_vals(default)


def _switch(f: FunctionEmitter, index: str, labels: Sequence[int], vals: Sequence[str]) -> None:
    """Cases that go where the default goes are left out. A target of several cases is reached
    through a block of its own, so that it has one edge and phis stay small."""
    default = labels[-1]
    times: dict[int, int] = {}
    for labelidx in labels[:-1]:
        times[labelidx] = times.get(labelidx, 0) + 1
    times[default] = 1
    shared = f.edge(vals)
    via: dict[int, str] = {}
    forward: list[tuple[str, str]] = []
    for labelidx, count in times.items():
        frame = f.frames[-1 - labelidx]
        target = _label(f, frame)
        source = f.block
        if count > 1:
            source = f.new_label()
            forward.append((source, target))
        via[labelidx] = source if count > 1 else target
        frame.edges.append(Edge(source, shared.locals, shared.region, vals))
    cases = " ".join(
        f"i32 {i}, label %{via[labelidx]}"
        for i, labelidx in enumerate(labels[:-1])
        if labelidx != default
    )
    if cases:
        f.line(f"switch i32 {index}, label %{via[default]} [ {cases} ]")
    else:
        f.line(f"br label %{via[default]}")
    for source, target in forward:
        f.start_block(source)
        f.line(f"br label %{target}")
