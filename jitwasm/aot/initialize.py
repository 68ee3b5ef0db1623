"""The steps of instantiation that may trap, as LLVM IR: segments, globals, the start function.

Long lists become constant arrays and loops, so code size does not grow with a module's tables.
"""

from __future__ import annotations

from typing import Protocol

from jitwasm.abi import FUNCREF, call_conv
from jitwasm.aot.calls import VM, call_wasm
from jitwasm.aot.irfunction import IRFunction
from jitwasm.aot.layout import InstanceLayout
from jitwasm.frontend.moduleinfo import ConstExpr, ElementSegment, ModuleInfo
from jitwasm.types import FUNCREF as FUNCREF_TYPE
from jitwasm.types import ValType

__all__ = ["Initializer"]


class Surroundings(Protocol):
    """What the initialiser needs of the glue."""

    info: ModuleInfo
    prefix: str
    rtts: list[str]
    tail_calls: bool
    layout: InstanceLayout
    globals: list[str]

    def global_cell(self, f: IRFunction, globalidx: int) -> str: ...


class Initializer:
    """The steps of instantiation that run once everything has its place (and may trap)."""

    def __init__(self, glue: Surroundings, f: IRFunction) -> None:
        self.glue = glue
        self.info = glue.info
        self.layout = glue.layout
        self.f = f
        self._typeidx = {id(type_): i for i, type_ in enumerate(self.info.types)}

    def run(self) -> None:
        info, f = self.info, self.f
        self._funcrefs()
        self._slots()
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

    def _array(self, name: str, type_: str, rows: list[str]) -> str:
        """A constant array; its symbol."""
        symbol = f"@{self.glue.prefix}.{name}"
        text = ", ".join(f"{type_} {row}" for row in rows)
        self.glue.globals.append(f"{symbol} = internal constant [{len(rows)} x {type_}] [{text}]")
        return symbol

    def _loop(self, name: str, count: int) -> str:
        """Begin a loop of `count` > 0 turns; the counter's name. `_repeat` ends it."""
        f = self.f
        f.line(f"br label %{name}.enter")
        f.label(f"{name}.enter")
        f.line(f"br label %{name}")
        f.label(name)
        f.line(f"%{name}.i = phi i64 [ 0, %{name}.enter ], [ %{name}.next, %{name} ]")
        f.line(f"%{name}.next = add i64 %{name}.i, 1")
        f.line(f"%{name}.more = icmp ult i64 %{name}.next, {count}")
        return f"%{name}.i"

    def _repeat(self, name: str) -> None:
        self.f.line(f"br i1 %{name}.more, label %{name}, label %{name}.done")
        self.f.label(f"{name}.done")

    def _funcrefs(self) -> None:
        """Copy the FuncRefs and give them this instance as environment."""
        layout, f = self.layout, self.f
        if not layout.named:
            return
        rows = [
            f"{{ ptr @f{i}, ptr null, ptr @{self._rtt_of(i)}, ptr null, i64 {i}, i64 0 }}"
            for i in layout.named
        ]
        name = self._array("funcrefs", "{ ptr, ptr, ptr, ptr, i64, i64 }", rows)
        base = f.at(VM, layout.funcrefs)
        size = FUNCREF.size * len(rows)
        f.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {base}, ptr {name}, i64 {size}, i1 false)")
        i = self._loop("funcrefs", len(rows))
        reference = f.op(f"getelementptr [{FUNCREF.size} x i8], ptr {base}, i64 {i}")
        f.store("ptr", VM, reference, FUNCREF.offset["env"])
        funcidx = f.load("i64", reference, FUNCREF.offset["funcidx"])
        pointers = f.at(VM, self.info.layout.func_ref(0))
        f.store("ptr", reference, f.op(f"getelementptr ptr, ptr {pointers}, i64 {funcidx}"))
        self._repeat("funcrefs")

    def _slots(self) -> None:
        """Where compiled code looks for the environment of imports, and for functions."""
        info, f = self.info, self.f
        slots = info.layout
        if info.imported_functions:
            i = self._loop("imports", info.imported_functions)
            first = f.at(VM, slots.import_slot(0))
            slot = f.op(f"getelementptr [16 x i8], ptr {first}, i64 {i}")
            f.store("ptr", VM, slot, 8)
            if self.glue.tail_calls:
                codes = [f"@f{n}" for n in range(info.imported_functions)]
                table = self._array("imported", "ptr", codes)
                code = f.load("ptr", f.op(f"getelementptr ptr, ptr {table}, i64 {i}"))
                f.store("ptr", code, slot)
            self._repeat("imports")
        defined = range(info.imported_functions, len(info.functions))
        if self.glue.tail_calls and defined:
            table = self._array("functions", "ptr", [f"@f{n}" for n in defined])
            area = f.at(VM, slots.function_slot(info.imported_functions))
            f.line(
                f"call void @llvm.memcpy.p0.p0.i64(ptr {area}, ptr {table}, "
                f"i64 {8 * len(defined)}, i1 false)"
            )

    def _rtt_of(self, funcidx: int) -> str:
        return self.glue.rtts[self._typeidx[id(self.info.functions[funcidx])]]

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
                stack.append(f.op(f"load {ir}, ptr {self.glue.global_cell(f, operand)}"))
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
            self._items(elemidx, segment, area)
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

    def _items(self, elemidx: int, segment: ElementSegment, area: str) -> None:
        """Write a segment's references to where it keeps them."""
        f = self.f
        offsets = [self._place(item) for item in segment.items]
        if len(offsets) < 8 or None in offsets:
            for place, item in enumerate(segment.items):
                f.store("ptr", self._constant(item)[0], area, 8 * place)
            return
        name = f"elements{elemidx}"
        table = self._array(name, "i64", [str(offset) for offset in offsets])
        i = self._loop(name, len(offsets))
        offset = f.load("i64", f.op(f"getelementptr i64, ptr {table}, i64 {i}"))
        reference = f.op(f"getelementptr i8, ptr {VM}, i64 {offset}")
        null = f.op(f"icmp eq i64 {offset}, 0")
        value = f.op(f"select i1 {null}, ptr null, ptr {reference}")
        f.store("ptr", value, f.op(f"getelementptr ptr, ptr {area}, i64 {i}"))
        self._repeat(name)

    def _place(self, item: int | ConstExpr) -> int | None:
        """Where in the instance the FuncRef of an element lies; 0 for null, None for others."""
        if isinstance(item, ConstExpr):
            if len(item.ops) != 1:
                return None
            mnemonic, operand = item.ops[0]
            if mnemonic == "ref.null":
                return 0
            if mnemonic != "ref.func":
                return None
            item = int(operand)
        return self.layout.funcref(item)

    def _index(self, offset: object) -> str:
        value, type_ = self._constant(offset)
        return value if type_.ir == "i64" else self.f.op(f"zext i32 {value} to i64")

    def _data(self, dataidx: int) -> None:
        segment, f = self.info.data[dataidx], self.f
        name = f"@{self.glue.prefix}.data{dataidx}"
        text = "".join(_BYTES[byte] for byte in segment.payload)
        size = len(segment.payload)
        self.glue.globals.append(f'{name} = internal constant [{size} x i8] c"{text}"')
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
