"""From the text of a unit to an object: one pure function of plain data.

Equal arguments give equal bytes, in whatever thread or process: nothing of one unit survives to
the next except the thread's target machine, which has no state that shows. So any executor can run
it, and an object can be cached under a digest of the arguments.
"""

from __future__ import annotations

import threading

from jitwasm.backend import llvm
from jitwasm.backend.llvm import LLVMError
from jitwasm.backend.passes import PIPELINES
from jitwasm.records import record

__all__ = ["LLVMError", "TargetSpec", "compile_assembly", "compile_unit", "host_target"]


@record(frozen=True)
class TargetSpec:
    """What the code is compiled for. Plain data: it pickles.

    Attributes:
        cpu, features: the processor, as LLVM writes it.
        opt_level: index into `passes.PIPELINES`.
        triple: the target, as LLVM names it.
        abi: its variant of the calling convention, where there are several.
    """

    cpu: str
    features: str
    opt_level: int
    triple: str = llvm.TRIPLE
    abi: str = ""


# LLVM makes one instruction of a load and a selection, even of a volatile load, where the processor
# has moves that load only under a mask or a condition: an access out of bounds would not trap.
_CONDITIONAL_LOADS = "-avx512f,-cf"


def host_target(opt_level: int, keeps_order: bool = False) -> TargetSpec:
    """The machine we run on; `keeps_order`: every load of the IR is made."""
    cpu, features = llvm.host_cpu()
    if keeps_order:
        features = f"{features},{_CONDITIONAL_LOADS}"
    return TargetSpec(cpu, features, opt_level)


# A target machine costs milliseconds to make and may not be shared by threads.
_thread = threading.local()


def _target_machine(target: TargetSpec) -> llvm.TargetMachine:
    machines: dict[TargetSpec, llvm.TargetMachine] = _thread.__dict__.setdefault("machines", {})
    machine = machines.get(target)
    if machine is None:
        codegen = PIPELINES[target.opt_level].codegen
        machine = machines[target] = llvm.TargetMachine(
            target.cpu, target.features, codegen, target.triple, target.abi
        )
    return machine


def compile_unit(text: str, target: TargetSpec, verify: bool = False) -> bytes:
    """Compile the assembly text of one LLVM module to an ELF object.

    Args:
        text: the module, without a target triple and data layout.
        target: processor and optimisation level.
        verify: check the module first. LLVM may abort the process on IR that is broken.

    Raises:
        LLVMError: the text does not parse or verify.
    """
    return _compile(text, target, verify, assembly=False)


def compile_assembly(text: str, target: TargetSpec) -> str:
    """What `compile_unit` would generate, as assembly text for reading."""
    return _compile(text, target, verify=True, assembly=True).decode()


def _compile(text: str, target: TargetSpec, verify: bool, assembly: bool) -> bytes:
    machine = _target_machine(target)
    pipeline = PIPELINES[target.opt_level]
    # No line break: LLVM's messages then count lines as the unit's text does.
    header = f'target datalayout = "{machine.data_layout}" target triple = "{target.triple}" '
    with llvm.Context() as context:
        module = context.parse(header + text)
        if verify:
            module.verify()
        if pipeline.default is not None:
            tuning = llvm.Tuning(
                pipeline.vectorize, pipeline.vectorize_lines, pipeline.unroll, pipeline.inline
            )
            machine.run_default_pipeline(module, pipeline.default, tuning)
        elif pipeline.passes:
            machine.run_passes(module, pipeline.passes)
        return machine.emit(module, assembly)
