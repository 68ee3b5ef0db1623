"""LLVM IR around the functions of a module: everything C programs call, and what calls C.

* Exports: C functions of the instance and the parameters; an activation, then the call.
* Imports: the C functions the embedder defines (symbols), or pointers given at instantiation.
* `prefix_instantiate`: the steps of the specification, as straight-line code.
* Accessors: pointers to exported memories, tables and cells of globals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jitwasm import abi
from jitwasm.abi import ENV, FUNCREF, OVERFLOW_SLOT, CallConv, call_conv
from jitwasm.aot.capi import CResult, c_result
from jitwasm.aot.layout import STATE, InstanceLayout
from jitwasm.aot.naming import export_symbol, import_symbol
from jitwasm.aot.runtime import ACTIVATION_WORDS, SECTION
from jitwasm.frontend.emit import universal
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.types import (
    FUNCREF as FUNCREF_TYPE,
)
from jitwasm.types import (
    I32,
    DefType,
    FuncType,
    GlobalType,
    MemoryType,
    TableType,
    ValType,
)

__all__ = ["Glue", "IRFunction", "ImportMember", "import_members"]

_PREVIOUS, _CODE = 64, 72
VM = "%vm"
MAX_TABLE = 10_000_000


class IRFunction:
    """The body of one function, line by line."""

    def __init__(self, signature: str, attributes: str = "") -> None:
        self._head = f"define {signature} {attributes}".rstrip() + " {"
        self._lines: list[str] = []
        self._count = 0

    def line(self, text: str) -> None:
        self._lines.append(f"  {text}")

    def label(self, name: str) -> None:
        self._lines.append(f"{name}:")

    def op(self, rhs: str) -> str:
        self._count += 1
        name = f"%t{self._count}"
        self.line(f"{name} = {rhs}")
        return name

    def at(self, base: str, offset: int) -> str:
        """A pointer `offset` bytes behind `base`."""
        return self.op(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base

    def load(self, type_: str, base: str, offset: int = 0) -> str:
        return self.op(f"load {type_}, ptr {self.at(base, offset)}")

    def store(self, type_: str, value: str, base: str, offset: int = 0) -> None:
        self.line(f"store {type_} {value}, ptr {self.at(base, offset)}")

    @property
    def text(self) -> str:
        return "\n".join([self._head, *self._lines, "}"])


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
    """

    info: ModuleInfo
    prefix: str
    table: bool
    guard_pages: bool
    rtts: list[str]
    tail_calls: bool
    layout: InstanceLayout = field(init=False)
    _globals: list[str] = field(init=False, default_factory=list)
    _functions: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.layout = InstanceLayout.of(self.info)

    def ir(self) -> str:
        """All of it."""
        for funcidx in range(self.info.imported_functions):
            self._import(funcidx)
        for export in self.info.exports:
            if export.kind == "function":
                self._export(export.name, export.index)
            else:
                self._accessor(export.name, export.kind, export.index)
        self._initialize()
        self._instantiate()
        self._free()
        self._trap_of()
        return "\n".join([*self._globals, *self._functions])

    # -- imports ---------------------------------------------------------------------------------

    def _import(self, funcidx: int) -> None:
        """`@f<idx>`: what compiled code calls; it passes the call on to C."""
        type_ = self.info.func_type(funcidx)
        conv, result = call_conv(type_), c_result(type_)
        wanted = [i for i in self.info.imports if isinstance(i.desc, DefType)][funcidx]
        params = "".join(f", {ir} %a{i}" for i, ir in enumerate(conv.param_ir))
        f = IRFunction(f"internal {conv.ret_ir} @f{funcidx}(ptr {VM}{params})")
        host = f.load("ptr", VM, self.layout.state + STATE.offset["host"])
        if self.table:
            code = f.load("ptr", VM, self.info.layout.import_slot(funcidx))
        else:
            code = "@" + import_symbol(self.prefix, wanted.module, wanted.name)
            self._globals.append(f"declare {c_signature(code, type_, result)}")
        args = self._incoming(f, conv)
        vals = _call_c(f, code, host, type_, result, args)
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
        value = _pack(f, conv.ret_ir, list(conv.ret_types), registers)
        f.line(f"ret {conv.ret_ir} {value}".rstrip())

    # -- exports ---------------------------------------------------------------------------------

    def _export(self, name: str, funcidx: int) -> None:
        type_ = self.info.func_type(funcidx)
        result = c_result(type_)
        symbol = f"@{export_symbol(self.prefix, name)}"
        # The callee may be inlined here, and then this is where its accesses fault.
        f = IRFunction(c_signature(symbol, type_, result, named=True), f'section "{SECTION}"')
        self._enter(f)
        args = [f"%a{i}" for i in range(len(type_.params))]
        vals = call_wasm(f, f"@f{funcidx}", VM, call_conv(type_), args)
        self._leave(f)
        _return_c(f, type_, result, vals)
        f.label("trapped")
        self._landed(f)
        zeros = [_zero(t) for t in type_.results]
        _return_c(f, type_, result, zeros)
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
            f.line(f"ret ptr {self._global(f, index)}")
        else:
            f.line(f"ret ptr {f.load('ptr', VM, self.info.layout.tag(index))}")
        self._functions.append(f.text)

    def _global(self, f: IRFunction, globalidx: int) -> str:
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
        ok = f.op(f"call i1 @{prefix}_reserve(ptr {VM}, ptr %imports)")
        f.line(f"br i1 {ok}, label %reserved, label %give_up")
        f.label("reserved")
        self._enter(f)
        f.line(f"call void @{prefix}_initialize(ptr {VM})")
        self._leave(f)
        f.line(f"ret ptr {VM}")
        f.label("trapped")
        code = f.op(f"trunc i64 {self._landed(f)} to i32")
        f.line("br label %free")
        f.label("give_up")
        f.line("br label %free")
        f.label("free")
        f.line(f"%why = phi i32 [ {code}, %trapped ], [ -1, %give_up ]")
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
        self._reserve()
        f = IRFunction(f"internal void @{self.prefix}_initialize(ptr {VM})")
        Initializer(self, f).run()
        self._functions.append(f.text)

    def _reserve(self) -> None:
        """What can fail for want of memory, and all pointers."""
        info, layout = self.info, self.layout
        f = IRFunction(f"internal i1 @{self.prefix}_reserve(ptr {VM}, ptr %imports)")
        f.store("ptr", f.at(VM, layout.overflow), VM, ENV.offset["overflow"])
        for typeidx, symbol in enumerate(self.rtts):
            f.store("ptr", f"@{symbol}", VM, info.layout.type_rtt(typeidx))
        self._bind_imports(f)
        for memidx in range(info.imported_memories, len(info.memories)):
            record = f.at(VM, layout.memory_record(info, memidx))
            f.store("ptr", record, VM, info.layout.memory_record(memidx))
            self._check(f, f.op(self._memory_init(record, info.memories[memidx])))
            f.store("ptr", f.load("ptr", record), VM, info.layout.memory_base(memidx))
        for tableidx in range(info.imported_tables, len(info.tables)):
            record = f.at(VM, layout.table_record(info, tableidx))
            f.store("ptr", record, VM, info.layout.table_record(tableidx))
            limits = info.tables[tableidx].limits
            most = MAX_TABLE if limits.maximum is None else min(limits.maximum, MAX_TABLE)
            most = max(most, limits.minimum)
            call = f"call i1 @jw_rt_table_init(ptr {record}, i64 {limits.minimum}, i64 {most})"
            self._check(f, f.op(call))
            f.store("ptr", f.load("ptr", record), VM, info.layout.table_base(tableidx))
        f.line("ret i1 true")
        f.label("fail")
        f.line("ret i1 false")
        self._functions.append(f.text)

    def _check(self, f: IRFunction, ok: str) -> None:
        label = f"ok{ok[1:]}"
        f.line(f"br i1 {ok}, label %{label}, label %fail")
        f.label(label)

    def _memory_init(self, record: str, type_: MemoryType) -> str:
        page = type_.page_size
        wide = type_.addr is not I32
        ceiling = abi.MEMORY64_RESERVED if wide else 1 << 32
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

    def _bind_imports(self, f: IRFunction) -> None:
        """Copy what the embedder passed to where compiled code looks for it."""
        info, counts = self.info, {"memory": 0, "table": 0, "global": 0}
        for place, member in enumerate(import_members(info, self.prefix, self.table)):
            given = f.load("ptr", "%imports", 8 * place)
            desc = info.imports[member.index].desc
            if member.funcidx is not None:
                f.store("ptr", given, VM, info.layout.import_slot(member.funcidx))
            elif isinstance(desc, MemoryType):
                index = counts["memory"]
                counts["memory"] += 1
                f.store("ptr", given, VM, info.layout.memory_record(index))
                f.store("ptr", f.load("ptr", given), VM, info.layout.memory_base(index))
            elif isinstance(desc, TableType):
                index = counts["table"]
                counts["table"] += 1
                f.store("ptr", given, VM, info.layout.table_record(index))
                f.store("ptr", f.load("ptr", given), VM, info.layout.table_base(index))
            elif isinstance(desc, GlobalType):
                f.store("ptr", given, VM, info.layout.imported_global(counts["global"]))
                counts["global"] += 1

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


class Initializer:
    """The steps of instantiation that run once everything has its place (and may trap)."""

    def __init__(self, glue: Glue, f: IRFunction) -> None:
        self.glue = glue
        self.info = glue.info
        self.layout = glue.layout
        self.f = f

    def run(self) -> None:
        info, f = self.info, self.f
        self._funcrefs()
        if self.glue.tail_calls:
            for funcidx in range(len(info.functions)):
                f.store("ptr", f"@f{funcidx}", VM, info.layout.call_slot(funcidx))
                if funcidx < info.imported_functions:
                    f.store("ptr", VM, VM, info.layout.import_slot(funcidx) + 8)
        for place, init in enumerate(info.global_inits):
            globalidx = info.imported_globals + place
            value, type_ = self._constant(init)
            f.store(type_.ir, value, f.at(VM, info.layout.global_cell(globalidx)))
        for tableidx, init in info.table_inits.items():
            value, _ = self._constant(init)
            record = f.load("ptr", VM, info.layout.table_record(tableidx))
            size = info.tables[tableidx].limits.minimum
            f.line(f"call void @jw_table_fill(ptr {record}, i64 0, ptr {value}, i64 {size})")
        for elemidx in range(len(info.elements)):
            self._elements(elemidx)
        for dataidx in range(len(info.data)):
            self._data(dataidx)
        if info.start is not None:
            call_wasm(f, f"@f{info.start}", VM, call_conv(info.func_type(info.start)), [])
        f.line("ret void")

    def _funcrefs(self) -> None:
        """Copy the FuncRefs and give them this instance as environment."""
        info, layout, f = self.info, self.layout, self.f
        if not layout.named:
            return
        rows = ", ".join(
            f"{{ ptr, ptr, ptr, ptr, i64, i64 }} {{ ptr @f{i}, ptr null, "
            f"ptr @{self._rtt_of(i)}, ptr null, i64 {i}, i64 0 }}"
            for i in layout.named
        )
        count, name = len(layout.named), f"@{self.glue.prefix}.funcrefs"
        self.glue._globals.append(
            f"{name} = internal constant [{count} x {{ ptr, ptr, ptr, ptr, i64, i64 }}] [{rows}]"
        )
        base = f.at(VM, layout.funcrefs)
        size = FUNCREF.size * count
        f.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {base}, ptr {name}, i64 {size}, i1 false)")
        for place, funcidx in enumerate(layout.named):
            reference = f.at(base, FUNCREF.size * place)
            f.store("ptr", VM, reference, FUNCREF.offset["env"])
            f.store("ptr", reference, VM, info.layout.func_ref(funcidx))

    def _rtt_of(self, funcidx: int) -> str:
        return self.glue.rtts[self.info.types.index(self.info.functions[funcidx])]

    def _constant(self, init: object) -> tuple[str, ValType]:
        """A constant expression's value, or a function's FuncRef."""
        f = self.f
        if isinstance(init, int):
            return f.at(VM, self.layout.funcref(init)), FUNCREF_TYPE
        stack: list[str] = []
        for mnemonic, operand in init.ops:  # type: ignore[attr-defined]
            type_, _, verb = mnemonic.partition(".")
            if verb == "const":
                stack.append(_literal(type_, operand))
            elif mnemonic == "global.get":
                ir = self.info.globals[operand].value.ir
                stack.append(f.op(f"load {ir}, ptr {self.glue._global(f, operand)}"))
            elif mnemonic == "ref.func":
                stack.append(f.at(VM, self.layout.funcref(operand)))
            elif mnemonic == "ref.null":
                stack.append("null")
            else:
                right = stack.pop()
                stack.append(f.op(f"{verb} {type_} {stack.pop()}, {right}"))
        return stack.pop(), init.type  # type: ignore[attr-defined]

    def _elements(self, elemidx: int) -> None:
        segment, f = self.info.elements[elemidx], self.f
        area = f.at(VM, self.layout.segment_offsets[elemidx])
        if segment.mode != "declarative":
            for place, item in enumerate(segment.items):
                f.store("ptr", self._constant(item)[0], area, 8 * place)
        descriptor = f.at(VM, self.info.layout.elem_segment(elemidx))
        count = 0 if segment.mode == "declarative" else len(segment.items)
        f.store("ptr", area, descriptor)
        f.store("i64", str(count), descriptor, 8)
        if segment.offset is not None:
            start = self._index(segment.offset)
            record = f.load("ptr", VM, self.info.layout.table_record(segment.tableidx))
            f.line(
                f"call void @jw_table_init(ptr {record}, ptr {descriptor}, "
                f"i64 {start}, i64 0, i64 {count})"
            )
            f.store("i64", "0", descriptor, 8)

    def _index(self, offset: object) -> str:
        value, type_ = self._constant(offset)
        return value if type_.ir == "i64" else self.f.op(f"zext i32 {value} to i64")

    def _data(self, dataidx: int) -> None:
        segment, f = self.info.data[dataidx], self.f
        name = f"@{self.glue.prefix}.data{dataidx}"
        text = "".join(_BYTES[byte] for byte in segment.payload)
        size = len(segment.payload)
        self.glue._globals.append(f'{name} = internal constant [{size} x i8] c"{text}"')
        descriptor = f"%segment{dataidx}"
        if segment.offset is None or self.info.data_count is not None:
            f.line(
                f"{descriptor} = getelementptr i8, ptr {VM}, "
                f"i64 {self.info.layout.data_segment(dataidx)}"
            )
        else:  # nothing can name it: only this function needs the descriptor
            f.line(f"{descriptor} = alloca {{ ptr, i64 }}")
        f.store("ptr", name, descriptor)
        f.store("i64", str(size), descriptor, 8)
        if segment.offset is not None:
            start = self._index(segment.offset)
            record = f.load("ptr", VM, self.info.layout.memory_record(segment.memidx))
            f.line(
                f"call void @jw_memory_init(ptr {record}, ptr {descriptor}, "
                f"i64 {start}, i64 0, i64 {size})"
            )
            f.store("i64", "0", descriptor, 8)


_BYTES = [
    chr(b) if 0x20 <= b < 0x7F and b not in (0x22, 0x5C) else f"\\{b:02X}" for b in range(256)
]


def _literal(type_: str, operand: object) -> str:
    if isinstance(operand, bytes):
        low, high = (int.from_bytes(operand[i : i + 8], "little") for i in (0, 8))
        return f"<i64 {low}, i64 {high}>"
    assert isinstance(operand, int)
    if type_ == "f32":
        return f"bitcast (i32 {operand} to float)"
    return f"bitcast (i64 {operand} to double)" if type_ == "f64" else str(operand)


def _zero(type_: ValType) -> str:
    if type_.is_ref:
        return "null"
    return "zeroinitializer" if type_.ir.startswith("<") else "0.0" if type_.is_float else "0"


def c_signature(symbol: str, type_: FuncType, result: CResult, named: bool = False) -> str:
    """The LLVM signature of a C function: environment first, then the parameters."""
    names = [f" %a{i}" for i in range(len(type_.params))] if named else [""] * len(type_.params)
    params = [f"{t.ir}{name}" for t, name in zip(type_.params, names, strict=True)]
    first = [f"ptr {VM}" if named else "ptr"]
    if result.hidden:
        hidden = f"ptr sret([{result.size} x i8])"
        first.insert(0, f"{hidden} %results" if named else hidden)
    return f"{result.ir} {symbol}({', '.join(first + params)})"


def call_wasm(f: IRFunction, code: str, env: str, conv: CallConv, args: list[str]) -> list[str]:
    """Call a wasm function by its convention; gives its results."""
    area = ""
    if conv.overflow_params or conv.overflow_results:
        area = f.load("ptr", env, ENV.offset["overflow"])
    operands = [f"ptr {env}"]
    for loc, arg in zip(conv.params, args, strict=True):
        if loc.slot is None:
            operands.append(f"{loc.type.ir} {arg}")
        else:
            f.store(loc.type.ir, arg, area, OVERFLOW_SLOT * loc.slot)
    call = f"call {conv.ret_ir} {code}({', '.join(operands)})"
    if not conv.results:
        f.line(call)
        return []
    value = f.op(call)
    registers = _unpack(f, conv.ret_ir, len(conv.ret_types), value)
    vals = []
    for loc in conv.results:
        if loc.slot is None:
            vals.append(registers.pop(0))
        else:
            vals.append(f.load(loc.type.ir, area, OVERFLOW_SLOT * loc.slot))
    return vals


def _unpack(f: IRFunction, ir: str, count: int, value: str) -> list[str]:
    if count == 1:
        return [value]
    return [f.op(f"extractvalue {ir} {value}, {i}") for i in range(count)]


def _pack(f: IRFunction, ir: str, types: list[ValType], vals: list[str]) -> str:
    if not vals:
        return ""
    if len(vals) == 1:
        return vals[0]
    value = "poison"
    for i, (type_, val) in enumerate(zip(types, vals, strict=True)):
        value = f.op(f"insertvalue {ir} {value}, {type_.ir} {val}, {i}")
    return value


def _return_c(f: IRFunction, type_: FuncType, result: CResult, vals: list[str]) -> None:
    """Return results the way C does."""
    if len(vals) < 2:
        f.line(f"ret {result.ir} {vals[0] if vals else ''}".rstrip())
        return
    place = "%results" if result.hidden else f.op(f"alloca [{result.size} x i8], align 16")
    for value, val, offset in zip(type_.results, vals, result.fields, strict=True):
        f.store(value.ir, val, place, offset)
    if result.hidden:
        f.line("ret void")
    else:
        f.line(f"ret {result.ir} {f.load(result.ir, place)}")


def _call_c(
    f: IRFunction, code: str, host: str, type_: FuncType, result: CResult, args: list[str]
) -> list[str]:
    """Call a C function; gives the results."""
    operands = [f"ptr {host}"]
    operands += [f"{t.ir} {arg}" for t, arg in zip(type_.params, args, strict=True)]
    several = len(type_.results) > 1
    place = f.op(f"alloca [{result.size} x i8], align 16") if several else ""
    if result.hidden:
        operands.insert(0, f"ptr sret([{result.size} x i8]) {place}")
    call = f"call {result.ir} {code}({', '.join(operands)})"
    if result.ir == "void":
        f.line(call)
    else:
        value = f.op(call)
        if not several:
            return [value]
        f.store(result.ir, value, place)
    return [
        f.load(t.ir, place, offset) for t, offset in zip(type_.results, result.fields, strict=True)
    ]


def typed_entry(funcidx: int, conv: CallConv) -> str:
    """`@f<idx>` for a function that is defined with the universal prototype as `@u<idx>`."""
    params = "".join(f", {ir} %a{i}" for i, ir in enumerate(conv.param_ir))
    f = IRFunction(f"internal {conv.ret_ir} @f{funcidx}(ptr {VM}{params})")
    packed = universal.pack(f.op, conv, [f"%a{i}" for i in range(len(conv.param_ir))])
    call = f"call {conv.ret_ir} @u{funcidx}(ptr {VM}{packed})"
    if conv.ret_ir == "void":
        f.line(call)
        f.line("ret void")
    else:
        f.line(f"ret {conv.ret_ir} {f.op(call)}")
    return f.text
