"""The frame around a function's body: its definition, what the entry block loads, trap blocks."""

from __future__ import annotations

from jitwasm.abi import ENV, OVERFLOW_SLOT, CallConv, entry_symbol
from jitwasm.frontend.emit import universal
from jitwasm.frontend.emit.function import VM, FunctionEmitter
from jitwasm.frontend.emit.loopentry import LoopEntry, NoLoopEntry
from jitwasm.frontend.emit.ssa import ENTRY
from jitwasm.frontend.emit.stacklimit import entry_branch
from jitwasm.ir import INVARIANT, SKEWED, TBAA_VM, WIDE, FunctionIR

__all__ = ["finish"]


def finish(f: FunctionEmitter) -> FunctionIR:
    """The function, once its body has been emitted."""
    f.keep_dead_locals()
    conv = f.conv
    symbol, params, fn_ir = f"@f{f.funcidx}", _params(conv), conv.fn_ir
    entry: list[str] = []
    if f.entry is not None:
        return _finish_entered(f, f.entry)
    if f.universal:
        symbol, params = f"@u{f.funcidx}", universal.NAMED_PARAMS
        fn_ir = f"{conv.ret_ir} ({universal.PARAMS})"
        entry += universal.unpack(conv)
    entry += _load_overflow(conv)
    entry += _load_bases(f)
    if f.in_memory:
        entry += _spill_locals(f)
    return _function(f, f"define {conv.ret_ir} {symbol}({params})", entry, fn_ir)


def _finish_entered(f: FunctionEmitter, entry: LoopEntry) -> FunctionIR:
    """The version of the function that begins at a loop: `o<funcidx>`."""
    if f.universal or not entry.label:
        raise NoLoopEntry("tail calls, or no such loop")
    lines = [*entry.loads(VM), *_load_bases(f), *entry.definitions]
    if f.module.config.limits.stack_bytes is not None:
        lines += entry_branch(f, entry.label)
    else:
        lines.append(f"br label %{entry.label}")
    head = f"define {f.conv.ret_ir} @{entry_symbol(f.funcidx)}(ptr noundef {VM})"
    return _function(f, head, lines, f"{f.conv.ret_ir} (ptr)")


def _function(f: FunctionEmitter, head: str, entry: list[str], fn_ir: str) -> FunctionIR:
    traps = [
        f"{label}:\n  call void {f.libcall('jw_trap')}(i32 {code.value})\n  unreachable"
        for code, label in f.traps.items()
    ]
    return FunctionIR(
        funcidx=f.funcidx,
        text="\n".join(
            [
                f"{head} {WIDE if f.wide else ''}{SKEWED if f.skewed else ''}#0 {{",
                f"{ENTRY}:",
                *(f"  {line}" for line in entry),
                f.body_text(),
                *traps,
                *f.cold,
                "}",
            ]
        ),
        calls=f.calls,
        declares=frozenset(f.declares),
        fn_ir=fn_ir,
        body_size=len(f.code),
        universal=f.universal,
        entered=f.entry is not None,
        loops=f.loop_count,
    )


def _params(conv: CallConv) -> str:
    named = [f"{loc.type.ir} noundef %{i}" for i, loc in enumerate(conv.params) if loc.slot is None]
    return ", ".join([f"ptr noundef {VM}", *named])


def _load_overflow(conv: CallConv) -> list[str]:
    """Parameters that came in the overflow area; first of all, before anyone writes to it."""
    if not conv.overflow_params:
        return []
    lines = [
        f"%ov.p = getelementptr i8, ptr {VM}, i64 {ENV.offset['overflow']}",
        f"%ov = load ptr, ptr %ov.p{INVARIANT}",
    ]
    for i, loc in enumerate(conv.params):
        if loc.slot is not None:
            lines.append(f"%o{i}.p = getelementptr i8, ptr %ov, i64 {OVERFLOW_SLOT * loc.slot}")
            lines.append(f"%o{i} = load {loc.type.ir}, ptr %o{i}.p{TBAA_VM}")
    return lines


def _load_bases(f: FunctionEmitter) -> list[str]:
    lines: list[str] = []
    for memidx in sorted(f.memories):
        offset = f.module.layout.memory_base(memidx)
        lines.append(f"%m{memidx}.p = getelementptr i8, ptr {VM}, i64 {offset}")
        lines.append(f"%m{memidx} = load ptr, ptr %m{memidx}.p{INVARIANT}")
    return lines


def _spill_locals(f: FunctionEmitter) -> list[str]:
    """Stack slots for the locals of a function that keeps them in memory."""
    lines: list[str] = []
    for local, val in enumerate(f.initial):
        ir = f.local_types[local].ir
        lines.append(f"%l{local} = alloca {ir}")
        lines.append(f"store {ir} {val}, ptr %l{local}")
    return lines
