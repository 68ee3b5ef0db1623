"""CPython extension modules: the exports as builtin functions, without jitwasm at run time.

The module uses the stable ABI of CPython 3.10 only, so one file serves all later versions. It is
one instance, made when the module is executed and never freed. Functions take and return numbers
(and bytes of length 16 for v128); several results are a tuple. A trap raises `RuntimeError`, an
exhausted stack `RecursionError`. Exported memories and globals are attributes, read anew each time:
a memory is a `memoryview`. Imported functions are looked up in the Python modules they name.

Each builtin unboxes its arguments and calls the C export, see glue.py; each imported C function
boxes its arguments and calls the Python object.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from jitwasm.aot import linking
from jitwasm.aot.calls import c_signature, call_c, return_c
from jitwasm.aot.capi import c_result
from jitwasm.aot.emit import Compiled, module_ir
from jitwasm.aot.irfunction import IRFunction
from jitwasm.aot.layout import STATE, InstanceLayout
from jitwasm.aot.naming import export_symbol, import_symbol
from jitwasm.aot.pyconversions import CONVERSIONS, box, text_constants, unbox
from jitwasm.aot.runtime import SECTION
from jitwasm.backend.codegen import compile_unit
from jitwasm.frontend.moduleinfo import Export, ModuleInfo
from jitwasm.trapcodes import TrapCode
from jitwasm.types import DefType, FuncType, GlobalType

__all__ = ["check_module_name", "extension_filename", "left_out", "python_extension"]

RAISED = 1000
"""Instead of a TrapCode: a Python function has raised an exception, which is set."""
_FASTCALL, _ONE_ARGUMENT = 0x80, 0x08
_EXECUTE = 2
_WRITABLE = 0x200


def check_module_name(name: str) -> str:
    """The name, if a Python module can have it.

    Raises:
        ValueError: it cannot.
    """
    if not name.isidentifier() or not name.isascii():
        raise ValueError(f"{name!r} cannot be the name of a Python module: use -o NAME.abi3.so")
    return name


def extension_filename(name: str) -> str:
    """The file that Python looks for."""
    return f"{name}.abi3.so"


def left_out(info: ModuleInfo) -> list[str]:
    """Exports that the extension module does not have: those with references, tables, tags."""
    return [export.name for export in info.exports if not _is_offered(info, export)]


def python_extension(
    compiled: Compiled, name: str, notice: Callable[[str], object] | None = None
) -> bytes:
    """The extension module `name` as a shared library; `notice` is told by which linker.

    Raises:
        ValueError: the module imports what no Python module can define.
        LinkerError: there is no linker, or it failed.
    """
    if not compiled.options.machine.is_host:
        raise ValueError("extension modules can be made for x86_64 only")
    text = _Extension(compiled, check_module_name(name)).ir()
    return linking.shared_library([compile_unit(text, compiled.options.spec)], notice)


def _is_offered(info: ModuleInfo, export: Export) -> bool:
    if not export.name or "\0" in export.name:
        return False
    if export.kind == "function":
        type_ = info.func_type(export.index)
        return not any(t.is_ref for t in (*type_.params, *type_.results))
    if export.kind == "global":
        assert isinstance(export.type, GlobalType)
        return not export.type.value.is_ref
    return export.kind == "memory"


class _Extension:
    """Builds the IR of one extension module."""

    def __init__(self, compiled: Compiled, name: str) -> None:
        self.name = name
        self.info = compiled.info
        self.functions = compiled.functions
        self.options = replace(compiled.options, prefix="jwpy", import_table=False)
        self.prefix = self.options.prefix
        self.layout = InstanceLayout.of(self.info)
        self.texts: list[str] = [self.name]
        self.imports: list[tuple[str, str, FuncType]] = []
        for row in self.info.imports:
            what = f"import {row.module!r} {row.name!r}"
            if not isinstance(row.desc, DefType):
                raise ValueError(f"{what} is no function: a Python module cannot define it")
            assert isinstance(row.desc.comp, FuncType)
            type_ = row.desc.comp
            if any(t.is_ref for t in (*type_.params, *type_.results)):
                raise ValueError(f"{what} has references: a Python module cannot define it")
            if "\0" in row.module + row.name:
                raise ValueError(f"{what} has a name that no Python module has")
            self.imports.append((row.module, row.name, type_))

    def text(self, text: str) -> str:
        """The symbol of a C string."""
        if text not in self.texts:
            self.texts.append(text)
        return f"@py.text{self.texts.index(text)}"

    def ir(self) -> str:
        exports = [e for e in self.info.exports if _is_offered(self.info, e)]
        functions = [e for e in exports if e.kind == "function"]
        parts = [self._module()]
        parts += [self._imported(i) for i in range(len(self.imports))]
        methods = [self._method(place, e) for place, e in enumerate(functions)]
        parts += [self._wrapper(place, e) for place, e in enumerate(functions)]
        rest = [e for e in exports if e.kind != "function"]
        if rest:
            parts.append(self._getattr(rest))
            name = self.text("__getattr__")
            methods.append(f"{{ ptr {name}, ptr @py.getattr, i32 {_ONE_ARGUMENT}, ptr null }}")
        methods.append("{ ptr null, ptr null, i32 0, ptr null }")
        row = "{ ptr, ptr, i32, ptr }"
        parts += [
            f"@py.methods = internal global [{len(methods)} x {row}] "
            f"[{', '.join(f'{row} {method}' for method in methods)}]",
            self._execute(),
            self._traps(),
            self._definition(),
        ]
        return "\n".join([*parts, text_constants(self.texts), CONVERSIONS])

    def _module(self) -> str:
        """The program itself, none of it visible from outside."""
        text = module_ir(self.info, self.functions, self.options)
        text = re.sub(rf"^declare .*@{self.prefix}__.*\n", "", text, flags=re.M)
        outside = re.compile(rf"^define (?=[^@\n]*@{self.prefix}_)(?!internal)", re.M)
        return outside.sub("define internal ", text)

    # -- imports ---------------------------------------------------------------------------------

    def _imported(self, index: int) -> str:
        """The C function of an import: %vm is the module's state, see `_execute`."""
        module, field, type_ = self.imports[index]
        target = self.options.machine
        result = c_result(type_, target)
        symbol = f"@{import_symbol(self.prefix, module, field)}"
        head = c_signature(symbol, type_, result, target, named=True)
        f = IRFunction(f"internal {head}")
        args = f.op(f"call ptr @PyTuple_New(i64 {len(type_.params)})")
        f.line(f"%no.tuple = icmp eq ptr {args}, null")
        f.line("br i1 %no.tuple, label %raised, label %tuple")
        f.label("tuple")
        for place, param in enumerate(type_.params):
            obj = box(f, param, f"%a{place}")
            f.line(f"call i32 @PyTuple_SetItem(ptr {args}, i64 {place}, ptr {obj})")
        callee = f.load("ptr", "%vm", 8 * (1 + index))
        outcome = f.op(f"call ptr @PyObject_CallObject(ptr {callee}, ptr {args})")
        f.line(f"call void @Py_DecRef(ptr {args})")
        f.line(f"%failed = icmp eq ptr {outcome}, null")
        f.line("br i1 %failed, label %raised, label %returned")
        f.label("returned")
        vals = self._results(f, type_, outcome, self.text(field))
        f.line(f"call void @Py_DecRef(ptr {outcome})")
        return_c(f, type_, result, vals)
        f.label("raised")
        f.line(f"call void @jw_trap(i32 {RAISED})")
        f.line("unreachable")
        return f.text

    def _results(self, f: IRFunction, type_: FuncType, outcome: str, name: str) -> list[str]:
        """What a Python function returned, as wasm values."""
        if len(type_.results) == 1:
            return [unbox(f, type_.results[0], outcome, name, -1, "raised")]
        if not type_.results:
            return []
        count = f.op(f"call i64 @PyTuple_Size(ptr {outcome})")
        f.line(f"%right = icmp eq i64 {count}, {len(type_.results)}")
        f.line("br i1 %right, label %counted, label %miscounted")
        f.label("miscounted")
        wanted = self.text("%s() must return a tuple of %d values")
        f.line(
            f"call ptr (ptr, ptr, ...) @PyErr_Format(ptr %wrong, ptr {wanted}, "
            f"ptr {name}, i32 {len(type_.results)})".replace("%wrong", self._exception(f))
        )
        f.line("br label %raised")
        f.label("counted")
        vals = []
        for place, value in enumerate(type_.results):
            item = f.op(f"call ptr @PyTuple_GetItem(ptr {outcome}, i64 {place})")
            vals.append(unbox(f, value, item, name, -1 - place, "raised"))
        return vals

    def _exception(self, f: IRFunction, name: str = "TypeError") -> str:
        return f.load("ptr", f"@PyExc_{name}")

    # -- exports ---------------------------------------------------------------------------------

    def _method(self, place: int, export: Export) -> str:
        type_ = self.info.func_type(export.index)
        names = ", ".join([*(f"a{i}" for i in range(len(type_.params))), "/"])
        names = names if type_.params else ""
        doc = f"{export.name}({names})\n--\n\n{type_}"
        return (
            f"{{ ptr {self.text(export.name)}, ptr @py.export{place}, i32 {_FASTCALL}, "
            f"ptr {self.text(doc)} }}"
        )

    def _wrapper(self, place: int, export: Export) -> str:
        type_ = self.info.func_type(export.index)
        target, name = self.options.machine, self.text(export.name)
        f = IRFunction(f"internal ptr @py.export{place}(ptr %self, ptr %args, i64 %given)")
        f.line(f"%right = icmp eq i64 %given, {len(type_.params)}")
        f.line("br i1 %right, label %unbox, label %miscounted")
        f.label("miscounted")
        f.line(f"call void @py_arity(ptr {name}, i64 {len(type_.params)}, i64 %given)")
        f.line("br label %failed")
        f.label("unbox")
        args = []
        for i, param in enumerate(type_.params):
            obj = f.load("ptr", "%args", 8 * i)
            args.append(unbox(f, param, obj, name, i, "failed"))
        state = f.op("call ptr @PyModule_GetState(ptr %self)")
        instance = f.load("ptr", state)
        code = f"@{export_symbol(self.prefix, export.name)}"
        vals = call_c(f, code, instance, type_, c_result(type_, target), args, target)
        trap = f.load("i64", instance, self.layout.state + STATE.offset["trap"])
        f.line(f"%returned = icmp eq i64 {trap}, 0")
        f.line("br i1 %returned, label %box, label %trapped, !prof !90000")
        f.label("trapped")
        f.line(f"call void @py_trap(i64 {trap})")
        f.line("br label %failed")
        f.label("box")
        f.line(f"ret ptr {self._boxed(f, type_, vals)}")
        f.label("failed")
        f.line("ret ptr null")
        return f.text

    def _boxed(self, f: IRFunction, type_: FuncType, vals: list[str]) -> str:
        """The results as one object."""
        if not vals:
            f.line("call void @Py_IncRef(ptr @_Py_NoneStruct)")
            return "@_Py_NoneStruct"
        if len(vals) == 1:
            return box(f, type_.results[0], vals[0])
        result = f.op(f"call ptr @PyTuple_New(i64 {len(vals)})")
        f.line(f"%no.tuple = icmp eq ptr {result}, null")
        f.line("br i1 %no.tuple, label %failed, label %fill")
        f.label("fill")
        for place, (value, val) in enumerate(zip(type_.results, vals, strict=True)):
            obj = box(f, value, val)
            f.line(f"call i32 @PyTuple_SetItem(ptr {result}, i64 {place}, ptr {obj})")
        return result

    def _getattr(self, exports: list[Export]) -> str:
        """`__getattr__` of the module: what has to be read anew."""
        f = IRFunction("internal ptr @py.getattr(ptr %self, ptr %name)")
        text = f.op("call ptr @PyUnicode_AsUTF8AndSize(ptr %name, ptr null)")
        f.line(f"%no.text = icmp eq ptr {text}, null")
        f.line("br i1 %no.text, label %failed, label %search")
        f.label("search")
        # Python asks for attributes before it executes the module: then there is no state yet.
        f.line("%state = call ptr @PyModule_GetState(ptr %self)")
        f.line("%early = icmp eq ptr %state, null")
        f.line("br i1 %early, label %missing, label %ready")
        f.label("ready")
        instance = f.load("ptr", "%state")
        for place, export in enumerate(exports):
            order = f.op(f"call i32 @strcmp(ptr {text}, ptr {self.text(export.name)})")
            found = f.op(f"icmp eq i32 {order}, 0")
            f.line(f"br i1 {found}, label %found{place}, label %next{place}")
            f.label(f"found{place}")
            symbol = export_symbol(self.prefix, export.name)
            pointer = f.op(f"call ptr @{symbol}(ptr {instance})")
            if isinstance(export.type, GlobalType):
                value = export.type.value
                f.line(f"ret ptr {box(f, value, f.load(value.ir, pointer))}")
            else:
                data, size = f.load("ptr", pointer), f.load("i64", pointer, 8)
                view = f"call ptr @PyMemoryView_FromMemory(ptr {data}, i64 {size}, i32 {_WRITABLE})"
                f.line(f"ret ptr {f.op(view)}")
            f.label(f"next{place}")
        f.line("br label %missing")
        f.label("missing")
        message = self.text("module '%s' has no attribute '%s'")
        f.line(
            f"call ptr (ptr, ptr, ...) @PyErr_Format(ptr {self._exception(f, 'AttributeError')}, "
            f"ptr {message}, ptr {self.text(self.name)}, ptr {text})"
        )
        f.line("br label %failed")
        f.label("failed")
        f.line("ret ptr null")
        return f.text

    # -- the module ------------------------------------------------------------------------------

    def _execute(self) -> str:
        """Fill the state, { instance, what is imported … }."""
        f = IRFunction("internal i32 @py.execute(ptr %self)")
        f.line("%error = alloca i32")
        f.line("%state = call ptr @PyModule_GetState(ptr %self)")
        for place, (module, field, _) in enumerate(self.imports):
            found = f.op(f"call ptr @PyImport_ImportModule(ptr {self.text(module)})")
            self._must(f, found, f"module{place}")
            callee = f.op(f"call ptr @PyObject_GetAttrString(ptr {found}, ptr {self.text(field)})")
            f.line(f"call void @Py_DecRef(ptr {found})")
            self._must(f, callee, f"callee{place}")
            f.store("ptr", callee, "%state", 8 * (1 + place))
        call = f"call ptr @{self.prefix}_instantiate(ptr null, ptr %state, ptr %error)"
        instance = f.op(call)
        f.store("ptr", instance, "%state")
        f.line(f"%none = icmp eq ptr {instance}, null")
        f.line("br i1 %none, label %refused, label %made")
        f.label("made")
        f.line("ret i32 0")
        f.label("refused")
        code = f.op(f"sext i32 {f.load('i32', '%error')} to i64")
        f.line(f"call void @py_trap(i64 {code})")
        f.line("br label %failed")
        f.label("failed")
        f.line("ret i32 -1")
        return f.text

    def _must(self, f: IRFunction, pointer: str, label: str) -> None:
        missing = f.op(f"icmp eq ptr {pointer}, null")
        f.line(f"br i1 {missing}, label %failed, label %{label}")
        f.label(label)

    def _traps(self) -> str:
        """`py_trap`: the exception for a trap code, unless Python has set one."""
        f = IRFunction("internal void @py_trap(i64 %code)", "cold noinline")
        rows = [(int(code), code.message) for code in TrapCode] + [(-1, "out of memory")]
        labels = "\n    ".join(f"i64 {number}, label %code{number + 1}" for number, _ in rows)
        f.line(f"switch i64 %code, label %done [\n    {labels}\n  ]")
        for number, message in rows:
            kind = "RuntimeError"
            if number == TrapCode.STACK_OVERFLOW:
                kind = "RecursionError"
            elif number < 0:
                kind = "MemoryError"
            f.label(f"code{number + 1}")
            exception = self._exception(f, kind)
            text = self.text(message)
            f.line(f"call void @PyErr_SetString(ptr {exception}, ptr {text})")
            f.line("br label %done")
        f.label("done")
        f.line("ret void")
        return f.text

    def _definition(self) -> str:
        """PyModuleDef, its slots, and the one symbol Python looks for."""
        size = 8 * (1 + len(self.imports))
        shape = "{ i64, ptr, ptr, i64, ptr, ptr, ptr, i64, ptr, ptr, ptr, ptr, ptr }"
        return f"""\
@py.slots = internal global [2 x {{ i32, ptr }}] [
  {{ i32, ptr }} {{ i32 {_EXECUTE}, ptr @py.execute }},
  {{ i32, ptr }} zeroinitializer]
@py.definition = internal global {shape} {{ i64 1, ptr null, ptr null, i64 0, ptr null,
  ptr {self.text(self.name)}, ptr null, i64 {size}, ptr @py.methods, ptr @py.slots, ptr null,
  ptr null, ptr null }}
define ptr @PyInit_{self.name}() section "{SECTION}" {{
  %result = call ptr @PyModuleDef_Init(ptr @py.definition)
  ret ptr %result
}}
!90000 = !{{!"branch_weights", i32 2000, i32 1}}
"""
