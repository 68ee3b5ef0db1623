"""Runs translated functions over many operands in one call, without the runtime.

The functions of a module are compiled by llvmlite, each with a driver in LLVM IR that loops over
an array of operands: 16 bytes for each operand and for each result. So a test of an instruction
needs nothing but the frontend, and a case costs nanoseconds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llvmlite.binding as llvm

from jitwasm.config import Config
from jitwasm.frontend.events import CodeStart, FunctionBody
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.frontend.stream import StreamParser
from jitwasm.frontend.translate import Translator
from jitwasm.ir import FUNCTION_ATTRIBUTES, PREAMBLE, FunctionIR
from jitwasm.types import V128, FuncType, ValType

Value = int | bytes
"""Bits of a scalar, or the 16 bytes of a v128."""

OVERFLOW_BYTES = 16 * 1000


def translate(binary: bytes, config: Config) -> tuple[ModuleInfo, list[FunctionIR]]:
    """Decode a module and translate all its functions."""
    parser = StreamParser(config.features, config.limits)
    translator: Translator | None = None
    functions: list[FunctionIR] = []
    for event in [*parser.feed(binary), *parser.finish()]:
        if isinstance(event, CodeStart):
            translator = Translator(event.info, config)
        elif isinstance(event, FunctionBody):
            assert translator is not None
            functions.append(translator.translate(event))
    return parser.info, functions


class VectorModule:
    """A module translated once, to be compiled for several processors and levels."""

    def __init__(self, binary: bytes, config: Config) -> None:
        self.info, functions = translate(binary, config)
        self.exports = {export.name: export.index for export in self.info.exports}
        declares = set().union(*(f.declares for f in functions))
        declares.discard("declare void @jw_trap(i32) cold noreturn")
        texts = [function.text for function in functions]
        self.functions_text = "\n".join(
            [*texts, TRAP, *sorted(declares), PREAMBLE, FUNCTION_ATTRIBUTES]
        )
        types = {f.funcidx: self.info.func_type(f.funcidx) for f in functions}
        drivers = [_driver(funcidx, type_) for funcidx, type_ in types.items()]
        self.text = "\n".join([*drivers, self.functions_text])

    def compile(self, level: int, cpu: str | None = None) -> CompiledVectors:
        """Machine code at an opt level, for this processor or an older one."""
        return CompiledVectors(self, level, cpu)


class CompiledVectors:
    """Compiled functions; `memory` is the module's first memory."""

    def __init__(self, module: VectorModule, level: int, cpu: str | None) -> None:
        self._module = module
        self._engine = _compile(module.text, level, cpu)
        layout = module.info.layout
        pages, self._overflow = bytearray(65536), bytearray(OVERFLOW_BYTES)
        self.memory = memoryview(pages)
        vmctx = bytearray(layout.size)
        _store_address(vmctx, 0, self._overflow)
        if layout.memories:
            _store_address(vmctx, layout.memory_base(0), pages)
        self._vmctx = ctypes.create_string_buffer(bytes(vmctx), len(vmctx))

    def call(self, name: str, cases: Sequence[Sequence[Value]]) -> list[Value]:
        """The results of an exported function for each case of operands."""
        funcidx = self._module.exports[name]
        (result,) = self._module.info.func_type(funcidx).results
        words = [v if isinstance(v, bytes) else v.to_bytes(16, "little") for c in cases for v in c]
        operands = ctypes.create_string_buffer(b"".join(words))
        results = ctypes.create_string_buffer(16 * len(cases))
        self._driver(funcidx)(self._vmctx, operands, results, len(cases))
        raw = results.raw
        return [_value(result, raw[at : at + 16]) for at in range(0, len(raw), 16)]

    def run(self, name: str, *operands: Value) -> Value | None:
        """Call an exported function once; it may have no result."""
        funcidx = self._module.exports[name]
        if self._module.info.func_type(funcidx).results:
            return self.call(name, [operands])[0]
        words = [v if isinstance(v, bytes) else v.to_bytes(16, "little") for v in operands]
        self._driver(funcidx)(self._vmctx, ctypes.create_string_buffer(b"".join(words)), None, 1)
        return None

    def _driver(self, funcidx: int) -> ctypes._CFunctionType:
        address = self._engine.get_function_address(f"drive{funcidx}")
        pointer = ctypes.c_void_p
        return ctypes.CFUNCTYPE(None, pointer, pointer, pointer, ctypes.c_size_t)(address)


TRAP = "define void @jw_trap(i32 %code) cold noreturn {\n  call void @llvm.trap()\n  unreachable\n}"


def _value(type_: ValType, data: bytes) -> Value:
    return data if type_ is V128 else int.from_bytes(data[: type_.size], "little")


def _store_address(record: bytearray, offset: int, target: bytearray) -> None:
    address = ctypes.addressof(ctypes.c_char.from_buffer(target))
    record[offset : offset + 8] = address.to_bytes(8, "little")


def _driver(funcidx: int, type_: FuncType) -> str:
    """A loop over the cases, around one call. It is not to be optimised: that would take longer
    than the functions."""
    width = 16 * len(type_.params)
    lines = [
        f"define void @drive{funcidx}(ptr %vm, ptr %in, ptr %out, i64 %n) noinline optnone {{",
        "entry:\n  br label %loop",
        "loop:\n  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
        f"  %row = mul i64 %i, {width}",
    ]
    for i, param in enumerate(type_.params):
        lines.append(f"  %at{i} = add i64 %row, {16 * i}")
        lines.append(f"  %p{i} = getelementptr i8, ptr %in, i64 %at{i}")
        lines.append(f"  %v{i} = load {param.ir}, ptr %p{i}, align 1")
    arguments = ", ".join(["ptr %vm", *(f"{p.ir} %v{i}" for i, p in enumerate(type_.params))])
    if type_.results:
        ir = type_.results[0].ir
        lines.append(f"  %r = call {ir} @f{funcidx}({arguments})")
        lines.append("  %to = mul i64 %i, 16\n  %q = getelementptr i8, ptr %out, i64 %to")
        lines.append(f"  store {ir} %r, ptr %q, align 1")
    else:
        lines.append(f"  call void @f{funcidx}({arguments})")
    lines.append("  %next = add i64 %i, 1\n  %more = icmp ult i64 %next, %n")
    lines.append("  br i1 %more, label %loop, label %done\ndone:\n  ret void\n}")
    return "\n".join(lines)


def _compile(text: str, level: int, cpu: str | None) -> llvm.ExecutionEngine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten() if cpu is None else ""
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=cpu or llvm.get_host_cpu_name(), features=features, opt=level, jit=True
    )
    module = llvm.parse_assembly(text)
    module.verify()
    if level:
        options = llvm.create_pipeline_tuning_options(speed_level=level)
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
