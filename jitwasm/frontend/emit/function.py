"""FunctionEmitter: what the instructions' handlers write a function with.

It is the state of one function's translation: the validation stacks (stacks.py), the SSA form and
the lines (ssa.py), and here: traps, addresses in linear memory, fields of vmctx, and the frame
around the body. Handlers never write blocks for traps or addresses themselves.

    f.pop(I32)               operand of the top value, which must be an i32
    f.op("add i32 %1, %2")   emits `%7 = add i32 %1, %2`, gives "%7"
    f.push(I32, "%7")
    f.line("store …")        emits an instruction without result
    f.declare("declare …")   notes an intrinsic or helper that is called
    f.trap_if(cond, TrapCode.X)
    f.mem_address(memidx, index, offset, size)   checked pointer into a memory

Operands are LLVM operand texts without their type: "%7", "5", "null". In unreachable code all of
this works as well, and is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jitwasm.abi import DERIVED_REACH, MEMORY64_RESERVED, MEMORY_RECORD, CallConv
from jitwasm.errors import InvalidError, MalformedError
from jitwasm.frontend.emit.bases import LoopBases
from jitwasm.frontend.emit.context import INSIDE, MemoryPlan, ModuleContext
from jitwasm.frontend.emit.loopentry import LoopEntry, NoLoopEntry
from jitwasm.frontend.emit.ssa import ENTRY, LOCAL_BITS, SSABuilder
from jitwasm.frontend.emit.unpack import unpacked
from jitwasm.frontend.leb128 import UNEXPECTED_END, read_unsigned
from jitwasm.frontend.stacks import FRAME, ControlFrame, Region
from jitwasm.ir import COLD, INVARIANT, LIKELY, TBAA_MEMORY, TBAA_VM
from jitwasm.libcalls import declaration
from jitwasm.trapcodes import TrapCode
from jitwasm.types import F32, F64, I32, V128, FuncType, ValType

__all__ = ["SHORT_LIST", "VM", "Entry", "FunctionEmitter", "parameter_values", "zero"]

VALUES_LIMIT = 1_000_000
"""Values that lists of more than `SHORT_LIST` may have in one function, all of them together:
parameters, results and operands of branches. Without it 4 bytes could stand for 1000 values."""
SHORT_LIST = 16

ANCHORS = 8
"""Accessed addresses with the same root that are looked through."""

VM = "%vm"
"""The environment: first parameter of every function."""


def parameter_values(conv: CallConv) -> list[str]:
    """The operands of the parameters; `%o<n>` are those that came in the overflow area."""
    return [f"%{i}" if loc.slot is None else f"%o{i}" for i, loc in enumerate(conv.params)]


def zero(type_: ValType) -> str:
    """The operand for a type's default value."""
    if type_.is_ref:
        return "null"
    if type_ is V128:
        return "zeroinitializer"
    return "0.0" if type_.is_float else "0"


class FunctionEmitter(SSABuilder):
    """One function being translated.

    Attributes:
        module: what holds for all functions of the module.
        code: the body's bytes.
        base: module offset of `code[0]`.
        type: the function's type.
        conv: how it is called.
        calls, declares: see FunctionIR.
        memories: memories whose base is needed.
        loops: the bases in the loops that are open; sums: i32 operands -> the root and the
            constants that were added to it.
        traps: the labels of trap blocks; cold: the text of other blocks at the end.
        universal: whether it contains a tail call; wide, skewed: see `WIDE` and `SKEWED`.
        initial: the operands of all locals at the start.
        in_memory: whether locals are kept in stack slots, because there are too many of them for
            snapshots at each branch.
        entry: where it is entered, if not at the beginning.
        uninitialized: locals without a default value that have not been set.
        initialized: those that have been, in order, to be reset where a frame ends.
        assigned: iterator over the sets of locals that the loops assign (prescan.py).
        parameters: the operands of the parameters.
    """

    __slots__ = (
        "_credit",
        "assigned",
        "base",
        "calls",
        "code",
        "cold",
        "conv",
        "declares",
        "entry",
        "funcidx",
        "in_memory",
        "initial",
        "initialized",
        "loops",
        "memories",
        "module",
        "parameters",
        "skewed",
        "sums",
        "traps",
        "type",
        "uninitialized",
        "universal",
        "wide",
    )

    def __init__(
        self,
        module: ModuleContext,
        funcidx: int,
        code: bytes,
        base: int,
        local_types: list[ValType],
        values: list[str],
        in_memory: bool = False,
        entry: LoopEntry | None = None,
    ) -> None:
        self.conv: CallConv = module.convs[funcidx]
        super().__init__(local_types, [] if in_memory else values, len(self.conv.params))
        self.initial = values
        self.in_memory = in_memory
        self.entry = entry
        self.module = module
        self.funcidx = funcidx
        self.type: FuncType = module.func_types[funcidx]
        self.code = code
        self.base = base
        self.calls: dict[int, str] = {}
        self.declares: set[str] = set()
        self.universal = False
        self.wide = False
        self.skewed = False
        self.assigned: Iterator[frozenset[int]] = iter(())
        self.uninitialized: set[int] = set()
        self.initialized: list[int] = []
        self.parameters = frozenset(values[: len(self.conv.params)])
        self.memories: set[int] = set()
        self.loops: list[LoopBases] = []
        self.sums: dict[str, tuple[str, int]] = {}
        self._credit = VALUES_LIMIT
        self.cold: list[str] = []
        self.traps: dict[TrapCode, str] = {}

    def spend(self, count: int) -> None:
        """A few bytes of code deal with `count` values at once. Bound what that adds up to."""
        self._credit -= count
        if self._credit < 0:
            raise InvalidError("the function is too complex: too many values in lists")

    # -- immediates ------------------------------------------------------------------------------

    def u32(self, pos: int) -> tuple[int, int]:
        """The unsigned integer at `pos` and the position behind it."""
        code = self.code
        byte = code[pos]
        if byte < 0x80:
            return byte, pos + 1
        second = code[pos + 1]
        if second < 0x80:
            return byte & 0x7F | second << 7, pos + 2
        return read_unsigned(code, pos, len(code), 32, self.base)

    def take(self, pos: int, length: int) -> bytes:
        """The `length` bytes at `pos`."""
        found = self.code[pos : pos + length]
        if len(found) < length:
            raise MalformedError(UNEXPECTED_END, self.base + len(self.code))
        return found

    # -- helpers and traps -----------------------------------------------------------------------

    def declare(self, text: str) -> None:
        """Note an LLVM declaration that the function needs."""
        self.declares.add(text)

    def libcall(self, name: str) -> str:
        """The symbol of a runtime helper, declared."""
        self.declares.add(declaration(name))
        return f"@{name}"

    def trap_label(self, code: TrapCode) -> str:
        """The label of the block that raises a trap; each function has one for each code."""
        label = self.traps.get(code)
        if label is None:
            label = self.traps[code] = f"t{code.value}"
        return label

    def trap_if(self, cond: str, code: TrapCode) -> None:
        """Trap if an i1 operand is true."""
        if not self.reachable:
            return
        label = self.new_label()
        self.line(f"br i1 {cond}, label %{self.trap_label(code)}, label %{label}{COLD}")
        self.start_block(label)

    def trap_conversion(self, fine: str, below: str, above: str, ir: str, val: str) -> None:
        """Trap if a float cannot be converted. If the operand `fine` is true it can; if not, the
        comparisons `below` and `above` tell. They, and which trap it is, are in cold code."""
        if not self.reachable:
            return
        cold, label = self.new_label(), self.new_label()
        self.line(f"br i1 {fine}, label %{label}, label %{cold}{LIKELY}")
        self.start_block(label)
        nan, other = TrapCode.INVALID_CONVERSION.value, TrapCode.INTEGER_OVERFLOW.value
        self.cold.append(
            f"{cold}:\n  %{cold}.l = fcmp {below}\n  %{cold}.h = fcmp {above}\n"
            f"  %{cold}.o = or i1 %{cold}.l, %{cold}.h\n"
            f"  br i1 %{cold}.o, label %{cold}.t, label %{label}\n"
            f"{cold}.t:\n  %{cold}.n = fcmp uno {ir} {val}, 0.0\n"
            f"  %{cold}.c = select i1 %{cold}.n, i32 {nan}, i32 {other}\n"
            f"  call void {self.libcall('jw_trap')}(i32 %{cold}.c)\n  unreachable"
        )

    # -- vmctx -----------------------------------------------------------------------------------

    def field(self, offset: int) -> str:
        """Pointer to a field of vmctx."""
        return self.at(VM, offset)

    def at(self, pointer: str, offset: int) -> str:
        """`pointer` plus a constant number of bytes."""
        return self.op(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer

    def vm_pointer(self, offset: int) -> str:
        """The value of a pointer field of vmctx that never changes."""
        pointer = self.pointers.get(offset)
        if pointer is None:
            pointer = self.op(f"load ptr, ptr {self.field(offset)}{INVARIANT}")
            self.pointers[offset] = pointer
        return pointer

    # -- linear memory ---------------------------------------------------------------------------

    def memory_base(self, memidx: int) -> str:
        """The memory's first byte; loaded once, at the function's entry."""
        self.memories.add(memidx)
        return f"%m{memidx}"

    def memory_bytes(self, memidx: int) -> str:
        """The memory's current size in bytes, as i64."""
        record = self.vm_pointer(self.module.layout.memory_record(memidx))
        size = self.at(record, MEMORY_RECORD.offset["bytes"])
        return self.op(f"load i64, ptr {size}{TBAA_VM}")

    def plain_address(self, index: str, offset: int) -> str:
        """`mem_address` for memory 0 if that is a `plain_memory`, and small static offsets."""
        pointer = self.pointers.get(index)
        if pointer is None:
            if index[0] != "%":
                return self.mem_address(0, index, offset, 1)
            self.memories.add(0)
            root, constant = self.sums.get(index, (index, 0))
            pointer = self._derived(root, constant)
            if pointer is None:
                wide = self.op(f"zext i32 {index} to i64")
                base = self.loops[-1].base(root, constant) if self.loops else "%m0"
                pointer = self.op(f"{INSIDE} {base}, i64 {wide}")
                self.anchor(root, constant, pointer)
            self.pointers[index] = pointer
        elif self.loops:
            self.loops[-1].use(pointer)
        return self.op(f"{INSIDE} {pointer}, i64 {offset}") if offset else pointer

    def _derived(self, root: str, constant: int) -> str | None:
        """The pointer to `root + constant` from that to a smaller sum which has been accessed.

        That access did not trap, so its address lies below `MEMORY32_MOST`, and the sum a little
        above it does not wrap around. If the access comes to nothing after all, because LLVM
        finds its value unused, the result is still inside the guard.
        """
        anchors = self.anchors.get(root)
        if anchors is None or not self.module.derives:
            return None
        for known, pointer in anchors[-ANCHORS:]:
            if 0 <= constant - known <= DERIVED_REACH:
                if self.loops:
                    self.loops[-1].derive(pointer)
                return self.op(f"{INSIDE} {pointer}, i64 {constant - known}")
        return None

    def open_loop(self, label: str, line: int, around_entry: bool = False) -> None:
        """The loop `label` begins; control enters it by the branch at `line`, or else at the
        entry, which is there or further in."""
        if self.loops:
            self.loops[-1].innermost = False
        if self.module.split_bases:
            first = int(self.fresh()[1:])
            self.loops.append(LoopBases(label, line, first, around_entry))

    def enter_loop(self, region: Region) -> None:
        """The function is entered at this loop's header."""
        assert self.entry is not None
        if any(type_ is not FRAME for type_ in self.types):
            raise NoLoopEntry("operands under the loop")
        self.entry.enter(region, ENTRY)

    def close_loop(self, region: Region) -> None:
        if self.loops:
            bases = self.loops.pop()
            line = bases.line
            # Only the innermost loops' lines are copied: each line once.
            inside = self._body[line + 1 :] if bases.innermost else []
            definitions = bases.definitions(inside)
            if not self.skewed and not bases.at_entry:
                before, packed = unpacked(region.label, inside, region.phis)
                if packed:
                    self._body[line + 1 :] = packed
                    definitions += before
                    self.wide = True
            if bases.at_entry:
                assert self.entry is not None
                self.entry.definitions.append(definitions)
            else:
                self._body[line] = definitions + self._body[line]
            self.wide |= bases.unrolled

    def mem_address(self, memidx: int, index: str, offset: int, size: int) -> str:
        """Pointer to `size` bytes at `index` (of the memory's index type) plus `offset`.

        An access through it traps if it is out of bounds, or this has trapped already. The sum
        has more bits than the index, so it cannot wrap around.
        """
        plan = self.module.memories[memidx]
        if index[0] != "%":
            return self._constant_address(plan, memidx, index, offset, size)
        if plan.explicit or offset + size > plan.slack:
            return self.at(self._checked(plan, memidx, index, offset + size), offset)
        if not memidx and not plan.wide:
            return self.plain_address(index, offset)
        key = (memidx, index) if memidx else index
        pointer = self.pointers.get(key)
        if pointer is None:
            wide = index
            if plan.wide:
                past = self.op(f"icmp uge i64 {index}, {MEMORY64_RESERVED}")
                if plan.clamp:
                    wide = self.op(f"select i1 {past}, i64 {MEMORY64_RESERVED}, i64 {index}")
                else:
                    self.trap_if(past, TrapCode.OUT_OF_BOUNDS_MEMORY)
            else:
                wide = self.op(f"zext i32 {index} to i64")
            base = self.memory_base(memidx)
            pointer = self.pointers[key] = self.op(f"{plan.add} {base}, i64 {wide}")
        return self.op(f"{plan.add} {pointer}, i64 {offset}") if offset else pointer

    def _constant_address(
        self, plan: MemoryPlan, memidx: int, index: str, offset: int, size: int
    ) -> str:
        """The same for a literal index."""
        bits = 64 if plan.wide else 32
        start = (0 if index == "poison" else int(index)) % (1 << bits) + offset
        if start + size > plan.reserved or (plan.explicit and start + size > plan.minimum):
            past = "true"
            if start + size < 1 << 63:
                past = self.op(f"icmp ult i64 {self.memory_bytes(memidx)}, {start + size}")
            self.trap_if(past, TrapCode.OUT_OF_BOUNDS_MEMORY)
            start %= 1 << 63
        return self.at(self.memory_base(memidx), start)

    def _checked(self, plan: MemoryPlan, memidx: int, index: str, extent: int) -> str:
        """Pointer to `index` after a comparison with the memory's size.

        `index > size - extent` is the form that LLVM still vectorises; it needs a size of at
        least `extent`, which is compared too unless the memory's minimum says so.
        """
        wide = index if plan.wide else self.op(f"zext i32 {index} to i64")
        if extent >= 1 << 63:
            self.trap_if("true", TrapCode.OUT_OF_BOUNDS_MEMORY)
            return self.memory_base(memidx)
        size = self.memory_bytes(memidx)
        if plan.minimum < extent:
            small = self.op(f"icmp ult i64 {size}, {extent}")
            self.trap_if(small, TrapCode.OUT_OF_BOUNDS_MEMORY)
        last = self.op(f"sub i64 {size}, {extent}")
        past = self.op(f"icmp ugt i64 {wide}, {last}")
        self.trap_if(past, TrapCode.OUT_OF_BOUNDS_MEMORY)
        return self.op(f"getelementptr i8, ptr {self.memory_base(memidx)}, i64 {wide}")

    def load(self, ir: str, pointer: str) -> str:
        """Load from linear memory."""
        return self.op(f"{self.module.load} {ir}, ptr {pointer}, align 1{TBAA_MEMORY}")

    def store(self, ir: str, val: str, pointer: str) -> None:
        """Store to linear memory."""
        self.line(f"{self.module.store} {ir} {val}, ptr {pointer}, align 1{TBAA_MEMORY}")

    def widen(self, addr: ValType, val: str) -> str:
        """An index or length as i64, whatever type the memory or table is indexed by."""
        if addr is not I32:
            return val
        if val[0] != "%":
            return val if val == "poison" else str(int(val) % (1 << 32))
        return self.op(f"zext i32 {val} to i64")

    def narrow(self, addr: ValType, val: str) -> str:
        """An i64 as the type that indexes the memory or table."""
        return self.op(f"trunc i64 {val} to i32") if addr is I32 else val

    # -- locals in memory ------------------------------------------------------------------------

    def load_local(self, local: int) -> str:
        """The value of a local in a function with tracked locals."""
        if self.in_memory:
            return self.op(f"load {self.local_types[local].ir}, ptr %l{local}")
        val = self.locals[local]
        return self.read_local(local) if val is None else val

    def store_local(self, local: int, val: str) -> None:
        if local in self.uninitialized:
            self.uninitialized.discard(local)
            self.initialized.append(local)
        if self.in_memory:
            self.line(f"store {self.local_types[local].ir} {val}, ptr %l{local}")
        else:
            self.locals[local] = val

    # -- definitions ---------------------------------------------------------------------------

    def definition(self, val: str) -> str:
        """The instruction that defines a value, if it was emitted a short while ago; else ""."""
        start = f"{val} = "
        for line in self.lines[: -DEFINITION_WINDOW - 1 : -1]:
            if line.startswith(start):
                return line[len(start) :]
        return ""

    # -- dead values -----------------------------------------------------------------------------

    def keep(self, type_: ValType, val: str) -> None:
        """A value is discarded: if a load made it, the load must be kept, for it may trap."""
        if self.reachable and self._may_come_from_load(val, len(self.lines) - 1):
            self.line(_fake_use(type_, val))

    def _may_come_from_load(self, val: str, last: int) -> bool:
        """Whether a use of the value must be invented. If a load made it directly, the load
        becomes volatile instead. `last` is the line where the search for its definition begins."""
        if val[0] != "%" or val in self.parameters:
            return False
        definition = f"{val} = "
        for index in range(last, max(-1, last - DEFINITION_WINDOW), -1):
            line = self.lines[index]
            if line.startswith(definition):
                if line.endswith(TBAA_MEMORY) and " = load " in line:
                    if " = load volatile " not in line:
                        self.lines[index] = line.replace(" = load ", " = load volatile ", 1)
                    return False
                return not line.startswith(_EFFECTS, len(definition)) or " @llvm." in line
        return True

    def discard(self, target: ControlFrame, depth: int, taken: int = 0) -> None:
        """Control may leave for the label of `target`, `depth` frames out. On that way the values
        above it are lost, but for the `taken` topmost ones, which go along."""
        start, end = target.height, len(self.vals) - taken
        # What is always there: the bottom of each frame between.
        if end - start == depth or not self.reachable:
            return
        if end - start > SHORT_LIST:
            self.spend(end - start)
        for type_, val in zip(self.types[start:end], self.vals[start:end], strict=True):
            if type_ is not FRAME:
                self.keep(type_, val)

    def reset_initialized(self, frame: ControlFrame) -> None:
        """Where a frame ends, locals set in it count as not initialised again."""
        height = frame.init_height
        self.uninitialized.update(self.initialized[height:])
        del self.initialized[height:]

    def keep_dead_locals(self) -> None:
        """Do the same for values of locals that nobody has read; at the function's end."""
        self.lines = self._body
        for val, place in self._unread.items():
            index, local = place >> LOCAL_BITS, place & (1 << LOCAL_BITS) - 1
            # Behind a label there may come phis.
            if self._may_come_from_load(val, index) and self.lines[index][0] != "|":
                self.lines[index] += f"\n  {_fake_use(self.local_types[local], val)}"


_EFFECTS = ("call ", "extractvalue ", "load ")
"""Definitions that stay anyway, or may go: calls (but of LLVM's), and loads from elsewhere."""

DEFINITION_WINDOW = 64
"""How many lines back the definition of a discarded value is looked for."""

Entry = tuple[Callable[[FunctionEmitter, int, Any], int], Any]
"""A fast handler and the row it is called with (see the package's docstring)."""


def _fake_use(type_: ValType, val: str) -> str:
    constraint = "x" if type_ in (F32, F64, V128) else "r"
    return f'call void asm sideeffect "", "{constraint}"({type_.ir} {val})'
