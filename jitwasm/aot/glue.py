"""LLVM IR around the functions of a module: everything C programs call, and what calls C.

* Exports: C functions of the instance and the parameters; an activation, then the call.
* Imports: the C functions the embedder defines (symbols), or pointers given at instantiation.
* `prefix_instantiate` and `prefix_free`.
* Accessors: pointers to exported memories, tables and cells of globals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jitwasm import abi
from jitwasm.abi import ENV, OVERFLOW_SLOT, CallConv, call_conv
from jitwasm.aot.calls import VM, c_signature, call_c, call_wasm, pack, return_c, zero
from jitwasm.aot.capi import c_result
from jitwasm.aot.initialize import Initializer
from jitwasm.aot.irfunction import IRFunction
from jitwasm.aot.layout import STATE, InstanceLayout
from jitwasm.aot.naming import export_symbol, import_symbol
from jitwasm.aot.runtime import ACTIVATION_WORDS, SECTION
from jitwasm.aot.targets import Target
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.types import I32, DefType, GlobalType, MemoryType, TableType

__all__ = ["Glue", "ImportMember", "import_members"]

_PREVIOUS, _CODE = 64, 72
MAX_TABLE = 10_000_000
RECORD_BYTES = 4096
"""Of the allocation that holds the record of a memory or table made for C: a page."""


@dataclass(frozen=True)
class ImportMember:
    """One member of the structure `prefix_imports`.

    Attributes:
        name: of the member in C.
        index: place of the import in the module's import section.
        funcidx: of a function (only with an import table), else None.
    """

    name: str
    index: int
    funcidx: int | None


def import_members(info: ModuleInfo, prefix: str, table: bool) -> list[ImportMember]:
    """What the embedder passes at instantiation: memories, tables, globals; functions if asked."""
    members = []
    funcidx = 0
    for index, wanted in enumerate(info.imports):
        name = import_symbol(prefix, wanted.module, wanted.name)[len(prefix) + 2 :]
        if not isinstance(wanted.desc, DefType):
            members.append(ImportMember(name, index, None))
            continue
        if table:
            members.append(ImportMember(name, index, funcidx))
        funcidx += 1
    return members


@dataclass
class Glue:
    """Builds the IR.

    Attributes:
        info: the module.
        prefix: of all symbols.
        table: whether functions are imported through pointers given at instantiation.
        guard_pages: whether memories are reserved as a whole.
        rtts: symbol of the run-time type of each typeidx.
        tail_calls: whether any function tail-calls, so that function slots are needed.
        target: what machine the C functions are for.
        globals: definitions and declarations besides functions.
    """

    info: ModuleInfo
    prefix: str
    table: bool
    guard_pages: bool
    rtts: list[str]
    tail_calls: bool
    target: Target
    layout: InstanceLayout = field(init=False)
    globals: list[str] = field(init=False, default_factory=list)
    _functions: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.layout = InstanceLayout.of(self.info)
        self._imported = [i for i in self.info.imports if isinstance(i.desc, DefType)]

    def ir(self) -> str:
        """All of it."""
        for funcidx in range(self.info.imported_functions):
            self._import(funcidx)
        for export in self.info.exports:
            if export.kind == "function":
                self._export(export.name, export.index)
            else:
                self._accessor(export.name, export.kind, export.index)
        self._bind()
        self._reserve()
        self._initialize()
        self._makers()
        self._instantiate()
        self._free()
        self._trap_of()
        return "\n".join([*self.globals, *self._functions])

    # -- imports ---------------------------------------------------------------------------------

    def _import(self, funcidx: int) -> None:
        """`@f<idx>`: what compiled code calls; it passes the call on to C."""
        type_ = self.info.func_type(funcidx)
        conv, result = call_conv(type_), c_result(type_, self.target)
        wanted = self._imported[funcidx]
        params = "".join(f", {ir} %a{i}" for i, ir in enumerate(conv.param_ir))
        f = IRFunction(f"internal {conv.ret_ir} @f{funcidx}(ptr {VM}{params})")
        host = f.load("ptr", VM, self.layout.state + STATE.offset["host"])
        if self.table:
            code = f.load("ptr", VM, self.layout.imports + 8 * funcidx)
        else:
            code = "@" + import_symbol(self.prefix, wanted.module, wanted.name)
            self.globals.append(f"declare {c_signature(code, type_, result, self.target)}")
        args = self._incoming(f, conv)
        vals = call_c(f, code, host, type_, result, args, self.target)
        self._return(f, conv, vals)
        self._functions.append(f.text)

    def _incoming(self, f: IRFunction, conv: CallConv) -> list[str]:
        """The arguments, those of the overflow area included."""
        vals, register = [], 0
        area = f.load("ptr", VM, ENV.offset["overflow"]) if conv.overflow_params else ""
        for loc in conv.params:
            if loc.slot is None:
                vals.append(f"%a{register}")
                register += 1
            else:
                vals.append(f.load(loc.type.ir, area, OVERFLOW_SLOT * loc.slot))
        return vals

    def _return(self, f: IRFunction, conv: CallConv, vals: list[str]) -> None:
        if conv.overflow_results:
            area = f.load("ptr", VM, ENV.offset["overflow"])
            for loc, val in zip(conv.results, vals, strict=True):
                if loc.slot is not None:
                    f.store(loc.type.ir, val, area, OVERFLOW_SLOT * loc.slot)
        registers = [v for loc, v in zip(conv.results, vals, strict=True) if loc.slot is None]
        value = pack(f, conv.ret_ir, list(conv.ret_types), registers)
        f.line(f"ret {conv.ret_ir} {value}".rstrip())

    # -- exports ---------------------------------------------------------------------------------

    def _export(self, name: str, funcidx: int) -> None:
        type_ = self.info.func_type(funcidx)
        result = c_result(type_, self.target)
        symbol = f"@{export_symbol(self.prefix, name)}"
        # The callee may be inlined here, and then this is where its accesses fault.
        f = IRFunction(
            c_signature(symbol, type_, result, self.target, named=True), f'section "{SECTION}"'
        )
        self._enter(f)
        args = [f"%a{i}" for i in range(len(type_.params))]
        vals = call_wasm(f, f"@f{funcidx}", VM, call_conv(type_), args)
        self._leave(f)
        return_c(f, type_, result, vals)
        f.label("trapped")
        self._landed(f)
        zeros = [zero(t) for t in type_.results]
        return_c(f, type_, result, zeros)
        self._functions.append(f.text)

    def _enter(self, f: IRFunction) -> None:
        """Put an activation on top; control comes back to `trapped` if a trap ends the call."""
        f.line(f"%act = alloca [{ACTIVATION_WORDS} x i64], align 16")
        f.line("call void @jw_rt_prepare()")
        f.line("%before = load ptr, ptr @jw_rt_top")
        f.store("ptr", "%before", "%act", _PREVIOUS)
        f.line("%landing = call i32 @jw_rt_set(ptr %act) returns_twice")
        f.line("%fresh = icmp eq i32 %landing, 0")
        f.line("br i1 %fresh, label %run, label %trapped")
        f.label("run")
        f.line("store volatile ptr %act, ptr @jw_rt_top")

    def _leave(self, f: IRFunction) -> None:
        f.line("store volatile ptr %before, ptr @jw_rt_top")
        f.store("i64", "0", VM, self.layout.state + STATE.offset["trap"])

    def _landed(self, f: IRFunction) -> str:
        """Take the activation away and note the code."""
        previous = f.op(f"load volatile ptr, ptr {f.at('%act', _PREVIOUS)}")
        f.line(f"store volatile ptr {previous}, ptr @jw_rt_top")
        code = f.op(f"load volatile i64, ptr {f.at('%act', _CODE)}")
        f.store("i64", code, VM, self.layout.state + STATE.offset["trap"])
        return code

    def _accessor(self, name: str, kind: str, index: int) -> None:
        symbol = export_symbol(self.prefix, name)
        f = IRFunction(f"ptr @{symbol}(ptr {VM})")
        if kind == "memory":
            f.line(f"ret ptr {f.load('ptr', VM, self.info.layout.memory_record(index))}")
        elif kind == "table":
            f.line(f"ret ptr {f.load('ptr', VM, self.info.layout.table_record(index))}")
        elif kind == "global":
            f.line(f"ret ptr {self.global_cell(f, index)}")
        else:
            f.line(f"ret ptr {f.load('ptr', VM, self.info.layout.tag(index))}")
        self._functions.append(f.text)

    def global_cell(self, f: IRFunction, globalidx: int) -> str:
        """The cell of a global."""
        if globalidx < self.info.imported_globals:
            return f.load("ptr", VM, self.info.layout.imported_global(globalidx))
        return f.at(VM, self.info.layout.global_cell(globalidx))

    # -- instantiation ---------------------------------------------------------------------------

    def _instantiate(self) -> None:
        """Allocate and fill the instance; a trap on the way frees it."""
        prefix, layout = self.prefix, self.layout
        signature = f"ptr @{prefix}_instantiate(ptr %imports, ptr %host, ptr %error)"
        f = IRFunction(signature, f'section "{SECTION}"')
        f.line(f"{VM} = call ptr @jw_rt_alloc(i64 {layout.size})")
        f.line(f"%none = icmp eq ptr {VM}, null")
        f.line("br i1 %none, label %fail, label %allocated")
        f.label("allocated")
        f.store("ptr", "%host", VM, layout.state + STATE.offset["host"])
        f.store("i64", str(layout.size), VM, layout.state + STATE.offset["size"])
        fits = f.op(f"call i1 @{prefix}_bind(ptr {VM}, ptr %imports)")
        f.line(f"br i1 {fits}, label %bound, label %unfit")
        f.label("bound")
        ok = f.op(f"call i1 @{prefix}_reserve(ptr {VM})")
        f.line(f"br i1 {ok}, label %reserved, label %give_up")
        f.label("reserved")
        self._enter(f)
        f.line(f"call void @{prefix}_initialize(ptr {VM})")
        self._leave(f)
        f.line(f"ret ptr {VM}")
        f.label("trapped")
        code = f.op(f"trunc i64 {self._landed(f)} to i32")
        f.line("br label %free")
        f.label("unfit")
        f.line("br label %free")
        f.label("give_up")
        f.line("br label %free")
        f.label("free")
        f.line(f"%why = phi i32 [ {code}, %trapped ], [ -1, %give_up ], [ -2, %unfit ]")
        f.line(f"call void @{prefix}_free(ptr {VM})")
        f.line("br label %fail")
        f.label("fail")
        f.line("%result = phi i32 [ %why, %free ], [ -1, %0 ]")
        f.line("%wanted = icmp ne ptr %error, null")
        f.line("br i1 %wanted, label %report, label %end")
        f.label("report")
        f.line("store i32 %result, ptr %error")
        f.line("br label %end")
        f.label("end")
        f.line("ret ptr null")
        self._functions.append(f.text)

    def _initialize(self) -> None:
        # It runs once and may be long: no optimiser shall spend more than linear time on it.
        signature = f"internal void @{self.prefix}_initialize(ptr {VM})"
        f = IRFunction(signature, "noinline optnone")
        Initializer(self, f).run()
        self._functions.append(f.text)

    def _reserve(self) -> None:
        """What can fail for want of memory, and all pointers."""
        info, layout = self.info, self.layout
        f = IRFunction(f"internal i1 @{self.prefix}_reserve(ptr {VM})")
        f.store("ptr", f.at(VM, layout.overflow), VM, ENV.offset["overflow"])
        for typeidx, symbol in enumerate(self.rtts):
            f.store("ptr", f"@{symbol}", VM, info.layout.type_rtt(typeidx))
        for memidx in range(info.imported_memories, len(info.memories)):
            record = f.at(VM, layout.memory_record(info, memidx))
            f.store("ptr", record, VM, info.layout.memory_record(memidx))
            self._check(f, f.op(self._memory_init(record, info.memories[memidx])))
            f.store("ptr", f.load("ptr", record), VM, info.layout.memory_base(memidx))
        for tableidx in range(info.imported_tables, len(info.tables)):
            record = f.at(VM, layout.table_record(info, tableidx))
            f.store("ptr", record, VM, info.layout.table_record(tableidx))
            self._check(f, f.op(self._table_init(record, info.tables[tableidx])))
            f.store("ptr", f.load("ptr", record), VM, info.layout.table_base(tableidx))
        f.line("ret i1 true")
        f.label("fail")
        f.line("ret i1 false")
        self._functions.append(f.text)

    def _check(self, f: IRFunction, ok: str) -> None:
        label = f"ok{ok[1:]}"
        f.line(f"br i1 {ok}, label %{label}, label %fail")
        f.label(label)

    def _table_init(self, record: str, type_: TableType) -> str:
        limits = type_.limits
        most = MAX_TABLE if limits.maximum is None else min(limits.maximum, MAX_TABLE)
        most = max(most, limits.minimum)
        return f"call i1 @jw_rt_table_init(ptr {record}, i64 {limits.minimum}, i64 {most})"

    def _memory_init(self, record: str, type_: MemoryType) -> str:
        page = type_.page_size
        wide = type_.addr is not I32
        ceiling = abi.MEMORY64_RESERVED if wide else 1 << 32
        if self.guard_pages and not wide:
            ceiling = max(abi.MEMORY32_MOST, type_.limits.minimum * page)
        declared = ceiling if type_.limits.maximum is None else type_.limits.maximum * page
        maximum = min(declared, ceiling)
        if self.guard_pages:
            reserved = (
                abi.MEMORY64_RESERVED + abi.MEMORY64_GUARD
                if wide
                else abi.MEMORY32_RESERVED + abi.MEMORY32_GUARD
            )
        else:
            reserved = -(-max(maximum, 1) // 4096) * 4096
        shift = page.bit_length() - 1
        return (
            f"call i1 @jw_rt_memory_init(ptr {record}, i64 {type_.limits.minimum * page}, "
            f"i64 {maximum}, i64 {reserved}, i64 {shift})"
        )

    def _bind(self) -> None:
        """Copy what the embedder passed to where compiled code looks for it."""
        info, counts = self.info, {"memory": 0, "table": 0, "global": 0}
        f = IRFunction(f"internal i1 @{self.prefix}_bind(ptr {VM}, ptr %imports)")
        members = import_members(info, self.prefix, self.table)
        if members:
            self._check(f, f.op("icmp ne ptr %imports, null"))
        for place, member in enumerate(members):
            given = f.load("ptr", "%imports", 8 * place)
            self._check(f, f.op(f"icmp ne ptr {given}, null"))
            desc = info.imports[member.index].desc
            if member.funcidx is not None:
                f.store("ptr", given, VM, self.layout.imports + 8 * member.funcidx)
            elif isinstance(desc, MemoryType):
                index = counts["memory"]
                counts["memory"] += 1
                minimum = desc.limits.minimum * desc.page_size
                self._at_least(f, given, minimum)
                if self.guard_pages and desc.addr is I32 and minimum <= abi.MEMORY32_MOST:
                    # The code relies on it; see DERIVED_REACH.
                    size = f.load("i64", given, 8)
                    self._check(f, f.op(f"icmp ule i64 {size}, {abi.MEMORY32_MOST}"))
                f.store("ptr", given, VM, info.layout.memory_record(index))
                f.store("ptr", f.load("ptr", given), VM, info.layout.memory_base(index))
            elif isinstance(desc, TableType):
                index = counts["table"]
                counts["table"] += 1
                self._at_least(f, given, desc.limits.minimum)
                f.store("ptr", given, VM, info.layout.table_record(index))
                f.store("ptr", f.load("ptr", given), VM, info.layout.table_base(index))
            elif isinstance(desc, GlobalType):
                f.store("ptr", given, VM, info.layout.imported_global(counts["global"]))
                counts["global"] += 1
        f.line("ret i1 true")
        if members:
            f.label("fail")
            f.line("ret i1 false")
        self._functions.append(f.text)

    def _at_least(self, f: IRFunction, record: str, minimum: int) -> None:
        """Check the size of an imported memory or table, the second field of its record."""
        if minimum:
            self._check(f, f.op(f"icmp uge i64 {f.load('i64', record, 8)}, {minimum}"))

    def _makers(self) -> None:
        """For each imported memory and table, a function that makes one that fits."""
        for member in import_members(self.info, self.prefix, self.table):
            desc = self.info.imports[member.index].desc
            if not isinstance(desc, MemoryType | TableType):
                continue
            f = IRFunction(f"ptr @{self.prefix}_new_{member.name}()")
            f.line(f"%record = call ptr @jw_rt_alloc(i64 {RECORD_BYTES})")
            f.line("%none = icmp eq ptr %record, null")
            f.line("br i1 %none, label %fail, label %init")
            f.label("init")
            if isinstance(desc, MemoryType):
                call = self._memory_init("%record", desc)
            else:
                call = self._table_init("%record", desc)
            f.line(f"br i1 {f.op(call)}, label %good, label %release")
            f.label("good")
            f.line("ret ptr %record")
            f.label("release")
            f.line(f"call void @jw_rt_release(ptr %record, i64 {RECORD_BYTES})")
            f.line("br label %fail")
            f.label("fail")
            f.line("ret ptr null")
            self._functions.append(f.text)
            self._unmaker(member.name, "memory" if isinstance(desc, MemoryType) else "table")

    def _unmaker(self, name: str, kind: str) -> None:
        f = IRFunction(f"void @{self.prefix}_free_{name}(ptr %record)")
        f.line("%none = icmp eq ptr %record, null")
        f.line("br i1 %none, label %done, label %free")
        f.label("free")
        f.line(f"call void @jw_rt_{kind}_free(ptr %record)")
        f.line(f"call void @jw_rt_release(ptr %record, i64 {RECORD_BYTES})")
        f.line("br label %done")
        f.label("done")
        f.line("ret void")
        self._functions.append(f.text)

    def _free(self) -> None:
        info, layout = self.info, self.layout
        f = IRFunction(f"void @{self.prefix}_free(ptr {VM})")
        f.line(f"%none = icmp eq ptr {VM}, null")
        f.line("br i1 %none, label %done, label %free")
        f.label("free")
        for memidx in range(info.imported_memories, len(info.memories)):
            record = f.at(VM, layout.memory_record(info, memidx))
            f.line(f"call void @jw_rt_memory_free(ptr {record})")
        for tableidx in range(info.imported_tables, len(info.tables)):
            record = f.at(VM, layout.table_record(info, tableidx))
            f.line(f"call void @jw_rt_table_free(ptr {record})")
        f.line(f"call void @jw_rt_release(ptr {VM}, i64 {layout.size})")
        f.line("br label %done")
        f.label("done")
        f.line("ret void")
        self._functions.append(f.text)

    def _trap_of(self) -> None:
        f = IRFunction(f"i32 @{self.prefix}_trap(ptr {VM})")
        trap = f.load("i64", VM, self.layout.state + STATE.offset["trap"])
        f.line(f"ret i32 {f.op(f'trunc i64 {trap} to i32')}")
        self._functions.append(f.text)
