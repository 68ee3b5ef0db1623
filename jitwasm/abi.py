"""The binary interface between compiled code and the runtime: one declaration of everything.

Each structure is a list of fields; its ctypes class, its LLVM type and its offsets derive from
that list. The calling convention lives here and nowhere else:

* C convention, `vmctx` (or a host function's environment) first.
* At most `INT_REGISTERS` further integer-class parameters (i32, i64, references) and
  `FLOAT_REGISTERS` floating-point or vector ones, in the order of the type: never on the stack,
  because LLVM 22.1 miscompiles `musttail` calls that have stack arguments.
* What does not fit travels through the *callee's* overflow area, `env->overflow`, in slots of 16
  bytes: the caller stores last before the call, the callee loads first of all.
* Results: up to three integers and two floats come back in registers, as a structure (LLVM returns
  a third float on the x87 stack, which is slow and changes signalling NaNs). Of any longer list
  the first result comes in a register and the others in the callee's overflow area, from slot 0
  on; the caller loads them right after the call.
* Every environment begins with `Env`, so this works for wasm and host functions alike.
* A reference is one 64-bit word (`ptr`), null is 0; a funcref points to a `FuncRef`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cached_property

from jitwasm.records import record
from jitwasm.types import FuncType, ValType

__all__ = [
    "ABI_VERSION",
    "ACTIVATION",
    "DATA_SEGMENT",
    "DERIVED_REACH",
    "ELEM_SEGMENT",
    "ENV",
    "FUNCREF",
    "HOST_ENV",
    "MEMORY32_GUARD",
    "MEMORY32_MOST",
    "MEMORY32_RESERVED",
    "MEMORY64_GUARD",
    "MEMORY64_RESERVED",
    "MEMORY_RECORD",
    "RTT",
    "SIGNATURE",
    "STORE_STATE",
    "TABLE_RECORD",
    "THREAD_STATE",
    "VALUE_PLACE",
    "CallConv",
    "Loc",
    "Struct",
    "VMLayout",
    "call_conv",
    "entry_symbol",
    "function_symbol",
]

ABI_VERSION = 1
INT_REGISTERS = 5
FLOAT_REGISTERS = 8
INT_RESULTS = 3
FLOAT_RESULTS = 2
OVERFLOW_SLOT = 16
OVERFLOW_SLOTS = 1000
"""Slots of an overflow area: the implementation limit on parameters and results."""

_CTYPES = {
    "ptr": ctypes.c_void_p,
    "i64": ctypes.c_uint64,
    "i32": ctypes.c_uint32,
    "word[8]": ctypes.c_uint64 * 8,
}
_IR = {"ptr": "ptr", "i64": "i64", "i32": "i32", "word[8]": "[8 x i64]"}


class Struct:
    """One structure of the ABI.

    Attributes:
        name: its name in LLVM IR (without `%`) and of the ctypes class.
        fields: (name, kind, meaning) rows.
        ctype: the `ctypes.Structure`.
        ir: the LLVM type's text.
        size: bytes.
        offset: offset of each field by name.
    """

    def __init__(self, name: str, *rows: tuple[str, str, str]) -> None:
        self.name = name
        self.fields = rows
        self.ir = "{ " + ", ".join(_IR[kind] for _, kind, _ in rows) + " }"
        members = [(field, _CTYPES[kind]) for field, kind, _ in rows]
        self.ctype: type[ctypes.Structure] = type(name, (ctypes.Structure,), {"_fields_": members})
        self.size = ctypes.sizeof(self.ctype)
        self.offset: dict[str, int] = {
            field: getattr(self.ctype, field).offset for field, _, _ in rows
        }


ENV = Struct(
    "Env",
    ("overflow", "ptr", "overflow area: OVERFLOW_SLOTS slots of 16 bytes; never changes"),
    ("store", "ptr", "StoreState of the store this belongs to; changes when stores merge"),
)
"""The head of every environment: an instance's vmctx or a host function's HostEnv."""

HOST_ENV = Struct(
    "HostEnv",
    *ENV.fields,
    ("target", "ptr", "PyObject* of the callable, or a C function pointer"),
    ("scratch", "ptr", "of a Python function: what its code jumps to; of a C function: slots"),
    ("signature", "ptr", "Signature of a Python function"),
    ("calls", "i64", "how often the generic way was taken; of a C function: see jw_c_call_far"),
    ("owner", "ptr", "PyObject* of the HostFunctions that a Python function is one of, borrowed"),
)

STORE_STATE = Struct(
    "StoreState",
    ("owner", "ptr", "ThreadState of the thread inside, or null"),
    ("depth", "i64", "how many entries that thread has open"),
    ("object", "ptr", "PyObject* of the runtime's Store, borrowed"),
    ("waiters", "i64", "threads waiting for the owner to leave"),
    ("due", "i64", "not 0: run the runtime's `idle` hook once nobody is inside"),
    ("helpers", "ptr", "addresses of the runtime's helpers, in the order of LIBCALLS"),
)

FUNCREF = Struct(
    "FuncRef",
    ("code", "ptr", "machine code"),
    ("env", "ptr", "vmctx or HostEnv: the first argument"),
    ("type", "ptr", "RTT of its defined type"),
    ("signature", "ptr", "Signature, once there is a builtin for it; null before"),
    ("funcidx", "i64", "index in its module"),
    ("calls", "i64", "how often the generic entry was taken"),
)

SIGNATURE = Struct(
    "Signature",
    ("params", "i64", "how many; a ValuePlace for each follows, then those of the results"),
    ("results", "i64", "how many"),
    ("references", "i64", "1 if there are references among them"),
    ("release_gil", "i64", "1: release the GIL around every call"),
    ("call_ns", "i64", "wall-clock time for a call, 0: no limit (see runtime/limits.ll)"),
    ("stack_bytes", "i64", "bytes of stack for a call, 0: no limit"),
    ("thunk", "ptr", "what a limited call enters by"),
)
"""What the generic ways between Python and wasm code know of a function type."""

VALUE_PLACE = Struct(
    "ValuePlace",
    ("kind", "i64", "which conversion"),
    ("offset", "i64", "where the value lies in a register frame, or in the overflow area"),
    ("far", "i64", "1: in the overflow area"),
    ("type", "ptr", "PyObject* of a reference type"),
)

RTT = Struct(
    "RTT",
    ("kind", "i32", "0 function, 1 structure, 2 array"),
    ("depth", "i32", "number of supertypes"),
    ("object", "ptr", "PyObject* of the DefType, which owns this record"),
    ("display", "word[8]", "supertypes by depth, from the root; itself at `depth` where < 8"),
)

MEMORY_RECORD = Struct(
    "MemoryRecord",
    ("base", "ptr", "start of the reservation; never changes"),
    ("bytes", "i64", "current size in bytes; only grows"),
    ("maximum", "i64", "bytes it may grow to"),
    ("reserved", "i64", "bytes of address space that fault instead of reaching something else"),
    ("page_shift", "i64", "log2 of the page size"),
)

TABLE_RECORD = Struct(
    "TableRecord",
    ("base", "ptr", "start of the elements, 8 bytes each; never changes"),
    ("size", "i64", "current number of elements; only grows"),
    ("maximum", "i64", "elements it may grow to"),
    ("reserved", "i64", "bytes of its address range; 0: all up to the maximum is accessible"),
)

DATA_SEGMENT = Struct(
    "DataSegment",
    ("base", "ptr", "bytes of a passive segment"),
    ("size", "i64", "how many; 0 once dropped"),
)

ELEM_SEGMENT = Struct(
    "ElemSegment",
    ("base", "ptr", "references of a passive segment, 8 bytes each"),
    ("size", "i64", "how many; 0 once dropped"),
)

ACTIVATION = Struct(
    "Activation",
    ("registers", "word[8]", "rbx rbp r12 r13 r14 r15 rsp rip, as the entry's setjmp saved them"),
    ("previous", "ptr", "the activation below on this thread"),
    ("code", "i64", "why control came back: a TrapCode, or -1: a Python exception is set"),
    ("address", "i64", "environment of the function entered; of a memory trap: what was accessed"),
    ("pc", "i64", "function entered; of a trap: where it happened"),
    ("tstate", "ptr", "null: this call holds the GIL; else the PyThreadState it saved"),
    ("in_host", "i32", "1: inside a host function, 2: in a signal handler amid wasm code"),
    ("want", "i32", "a tick found the thread outside wasm code: act on return"),
)
"""One record for each entry from Python into wasm, on the C stack of the entry thunk."""

THREAD_STATE = Struct(
    "ThreadState",
    ("top", "ptr", "innermost Activation, or null"),
    ("stack_limit", "i64", "below this, no host function may be called (red zone)"),
    ("stack_low", "i64", "lowest address of the stack"),
    ("stack_high", "i64", "highest"),
    ("own_altstack", "i64", "1 if we installed the alternate signal stack"),
    ("sequence", "i64", "counts entries"),
    ("armed", "i64", "1 while the tick timer runs"),
    ("timer", "i64", "POSIX timer id, -1: not created"),
    ("last_sequence", "i64", "`sequence` at the last tick"),
    ("idle", "i64", "ticks in a row that found nothing"),
    ("is_main", "i64", "1 on Python's main thread"),
    ("deadline", "i64", "absolute CLOCK_MONOTONIC ns, 0: none"),
    ("tid", "i64", "kernel thread id"),
    ("interval", "i64", "ns between ticks as armed"),
    ("eager", "i64", "ticks left at the short interval"),
    ("releases", "i64", "GIL releases so far (tests)"),
    ("ticks", "i64", "ticks so far (tests)"),
    ("reacquires", "i64", "GIL taken back inside host calls (tests)"),
    ("trap_registers", "word[8]", "rbx rbp r12 r13 r14 r15 rsp rip at the last trap"),
    ("trap_stack_size", "i64", "bytes saved in the buffer behind"),
    ("trap_stack", "ptr", "copy of the stack from rsp up at the last trap"),
    ("generation", "i64", "number of forks behind it: a thread of an older one no longer exists"),
    ("waiting", "ptr", "StoreState this thread waits for, or null"),
    ("due", "i64", "ticks before this time (CLOCK_MONOTONIC ns) only sample; 0: none does"),
    ("stack_floor", "i64", "code with a limit on its stack traps below this; 0: no limit"),
)
"""One record for each thread that has entered wasm; found by pthread_getspecific."""


@record(frozen=True)
class Loc:
    """Where one parameter or result travels: in a register (`slot` None) or an overflow slot."""

    type: ValType
    slot: int | None


@record(frozen=True)
class CallConv:
    """How one function type is passed (see the module's docstring).

    Attributes:
        params, results: a Loc for each, in the order of the type.
        param_ir: LLVM types of the register parameters, after the environment.
        ret_ir: LLVM return type: "void", one type, or a structure "{ i32, double }".
        ret_types: the value types returned in registers, in order.
        overflow_params, overflow_results: how many slots are used.
    """

    params: tuple[Loc, ...]
    results: tuple[Loc, ...]
    param_ir: tuple[str, ...]
    ret_ir: str
    ret_types: tuple[ValType, ...]
    overflow_params: int
    overflow_results: int

    @property
    def fn_ir(self) -> str:
        """The LLVM function type: `i32 (ptr, i32, double)`."""
        return f"{self.ret_ir} ({', '.join(('ptr', *self.param_ir))})"


def call_conv(type_: FuncType) -> CallConv:
    """The calling convention of a function type."""
    known: CallConv | None = type_.__dict__.get("_call_conv")
    if known is None:
        known = _call_conv(type_)
        # Kept by the type: a cache beside it would keep both for ever.
        object.__setattr__(type_, "_call_conv", known)
    return known


def _call_conv(type_: FuncType) -> CallConv:
    params = _assign_params(type_.params)
    results = _assign_results(type_.results)
    in_registers = tuple(loc.type for loc in results if loc.slot is None)
    return CallConv(
        params=params,
        results=results,
        param_ir=tuple(loc.type.ir for loc in params if loc.slot is None),
        ret_ir=_ret_ir(in_registers),
        ret_types=in_registers,
        overflow_params=sum(loc.slot is not None for loc in params),
        overflow_results=sum(loc.slot is not None for loc in results),
    )


def _assign_params(types: Sequence[ValType]) -> tuple[Loc, ...]:
    free = {False: INT_REGISTERS, True: FLOAT_REGISTERS}
    locs: list[Loc] = []
    slot = 0
    for value in types:
        if free[value.is_float]:
            free[value.is_float] -= 1
            locs.append(Loc(value, None))
        else:
            locs.append(Loc(value, slot))
            slot += 1
    return tuple(locs)


def _assign_results(types: Sequence[ValType]) -> tuple[Loc, ...]:
    floats = sum(t.is_float for t in types)
    if floats <= FLOAT_RESULTS and len(types) - floats <= INT_RESULTS:
        return tuple(Loc(t, None) for t in types)
    return tuple(Loc(t, None if i == 0 else i - 1) for i, t in enumerate(types))


def _ret_ir(types: Sequence[ValType]) -> str:
    if not types:
        return "void"
    if len(types) == 1:
        return types[0].ir
    return "{ " + ", ".join(t.ir for t in types) + " }"


GLOBAL_CELL = 16

MEMORY32_RESERVED = 8 << 30
"""Address space of every 32-bit memory: any index plus any static offset falls into it."""
MEMORY64_RESERVED = 64 << 30
"""Address space of every 64-bit memory, whatever its maximum: code compares with this constant."""
MEMORY32_GUARD = 64 << 10
MEMORY64_GUARD = 4 << 30
"""Inaccessible bytes behind: room for the width of an access (32) or its static offset (64)."""
MEMORY32_MOST = (1 << 32) - (64 << 10)
"""Bytes to which 32-bit memories grow: the last page is never there, unless a type asks for it."""
DERIVED_REACH = 32 << 10
"""By how much an address may lie behind one that was accessed, and be computed from its pointer:
with the width of an access, less than `MEMORY32_GUARD` and than what `MEMORY32_MOST` leaves."""


@record(frozen=True)
class VMLayout:
    """Offsets inside a module's vmctx, from the sizes of its index spaces (imports included).

    Order: Env; memory bases; memory records; table bases; table records; type RTTs; imported
    function slots {code, env}; function slots (code); pointers to imported globals; data segments;
    element segments; pointers to tags; cells of defined globals (16 bytes each, 16-aligned);
    pointers to the FuncRefs of all functions, set only where `ref.func` may name the function; the
    fuel that is left, used only by code that is charged for.
    """

    memories: int
    tables: int
    types: int
    imported_functions: int
    defined_functions: int
    imported_globals: int
    defined_globals: int
    data_segments: int
    elem_segments: int
    tags: int

    def memory_base(self, memidx: int) -> int:
        """Pointer to the memory's first byte (invariant)."""
        return ENV.size + 8 * memidx

    def memory_record(self, memidx: int) -> int:
        """Pointer to the memory's MemoryRecord (invariant)."""
        return self.memory_base(self.memories) + 8 * memidx

    def table_base(self, tableidx: int) -> int:
        return self.memory_record(self.memories) + 8 * tableidx

    def table_record(self, tableidx: int) -> int:
        return self.table_base(self.tables) + 8 * tableidx

    def type_rtt(self, typeidx: int) -> int:
        return self.table_record(self.tables) + 8 * typeidx

    @cached_property
    def _import_slots(self) -> int:
        return self.type_rtt(self.types)

    def import_slot(self, funcidx: int) -> int:
        """{code, env} of an imported function: env is 8 bytes behind code."""
        return self._import_slots + 16 * funcidx

    @cached_property
    def _function_slots(self) -> int:
        return self.import_slot(self.imported_functions) - 8 * self.imported_functions

    def function_slot(self, funcidx: int) -> int:
        """Code pointer of a defined function (`funcidx` counts imports too)."""
        return self._function_slots + 8 * funcidx

    def call_slot(self, funcidx: int) -> int:
        """Where the code pointer of any function lies, imported or defined."""
        if funcidx < self.imported_functions:
            return self.import_slot(funcidx)
        return self.function_slot(funcidx)

    @cached_property
    def _imported_globals(self) -> int:
        return self.function_slot(self.imported_functions + self.defined_functions)

    def imported_global(self, globalidx: int) -> int:
        """Pointer to the cell of an imported global (invariant)."""
        return self._imported_globals + 8 * globalidx

    @cached_property
    def _data_segments(self) -> int:
        return self.imported_global(self.imported_globals)

    def data_segment(self, dataidx: int) -> int:
        """A DataSegment, in place."""
        return self._data_segments + DATA_SEGMENT.size * dataidx

    @cached_property
    def _elem_segments(self) -> int:
        return self.data_segment(self.data_segments)

    def elem_segment(self, elemidx: int) -> int:
        """An ElemSegment, in place."""
        return self._elem_segments + ELEM_SEGMENT.size * elemidx

    @cached_property
    def _tags(self) -> int:
        return self.elem_segment(self.elem_segments)

    def tag(self, tagidx: int) -> int:
        """Pointer that identifies a tag."""
        return self._tags + 8 * tagidx

    @cached_property
    def _global_cells(self) -> int:
        start = -(-self.tag(self.tags) // GLOBAL_CELL) * GLOBAL_CELL
        return start - GLOBAL_CELL * self.imported_globals

    def global_cell(self, globalidx: int) -> int:
        """Cell of a defined global, in place (`globalidx` counts imports too)."""
        return self._global_cells + GLOBAL_CELL * globalidx

    @cached_property
    def _func_refs(self) -> int:
        return self.global_cell(self.imported_globals + self.defined_globals)

    def func_ref(self, funcidx: int) -> int:
        """Pointer to a declared function's FuncRef (invariant): the value of `ref.func`."""
        return self._func_refs + 8 * funcidx

    @property
    def fuel(self) -> int:
        """Units of fuel that are left; negative once there was too little."""
        return self.func_ref(self.imported_functions + self.defined_functions)

    @property
    def size(self) -> int:
        return self.fuel + 8


def function_symbol(funcidx: int) -> str:
    """The symbol of a function in IR and objects, imported or defined."""
    return f"f{funcidx}"


def entry_symbol(funcidx: int) -> str:
    """The symbol of the version of a function that begins at a loop (on-stack replacement). It
    takes the environment only: the locals are in the overflow area, one in each slot."""
    return f"o{funcidx}"
