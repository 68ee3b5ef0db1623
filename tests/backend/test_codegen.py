"""compile_unit: a pure function from IR text to an object."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jitwasm.backend import llvm
from jitwasm.backend.codegen import (
    LLVMError,
    TargetSpec,
    compile_assembly,
    compile_unit,
    host_target,
)
from jitwasm.backend.passes import PIPELINES

ADD = """\
define i32 @add(i32 %a, i32 %b) {
  %r = add i32 %a, %b
  ret i32 %r
}
"""

SUM = """\
define dso_local i32 @sum(ptr %p, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %s = phi i32 [ 0, %entry ], [ %t, %loop ]
  %a = getelementptr i32, ptr %p, i64 %i
  %v = load i32, ptr %a, align 1
  %t = add i32 %s, %v
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret i32 %t
}
"""


@pytest.mark.parametrize("level", range(len(PIPELINES)))
def test_every_level_gives_an_elf_object(level: int) -> None:
    assert compile_unit(ADD, host_target(level), verify=True).startswith(b"\x7fELF\x02\x01\x01")


def test_the_optimised_levels_vectorise() -> None:
    assert "mm" not in compile_assembly(SUM, host_target(0)).replace("comment", "")
    assert "padd" in compile_assembly(SUM, host_target(2))


@pytest.mark.parametrize("level", range(len(PIPELINES)))
def test_objects_do_not_depend_on_thread_or_history(level: int) -> None:
    target = host_target(level)
    first = compile_unit(SUM, target)
    texts = [ADD, SUM] * 4
    with ThreadPoolExecutor(4) as pool:
        objects = list(pool.map(lambda text: compile_unit(text, target), texts))
    assert objects[1::2] == [first] * 4
    assert len(set(objects[0::2])) == 1


def test_objects_do_not_depend_on_the_process() -> None:
    target = host_target(2)
    program = (
        "import sys, pickle; from jitwasm.backend.codegen import compile_unit\n"
        "text, target = pickle.load(sys.stdin.buffer)\n"
        "sys.stdout.buffer.write(compile_unit(text, target))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps((SUM, target)),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == compile_unit(SUM, target)


def test_threads_compile_without_llvmlites_lock() -> None:
    binding = pytest.importorskip("llvmlite.binding.ffi")
    target = host_target(0)
    done = threading.Event()

    def work() -> None:
        compile_unit(ADD, target)
        done.set()

    with binding.lib._lock:
        threading.Thread(target=work, daemon=True).start()
        assert done.wait(60)


def test_text_that_does_not_parse_is_an_error_with_its_line() -> None:
    with pytest.raises(LLVMError, match=r":2:.*expected"):
        compile_unit("define void @f() {\n  nonsense\n}\n", host_target(0))


def test_ir_that_breaks_a_rule_is_an_error_when_verified() -> None:
    broken = "define i32 @f(i32 %x) {\nb:\n  %p = phi i32 [ 0, %b ]\n  ret i32 %p\n}\n"
    with pytest.raises(LLVMError, match="PHI"):
        compile_unit(broken, host_target(0), verify=True)


def test_errors_do_not_spoil_the_thread() -> None:
    target = host_target(0)
    with pytest.raises(LLVMError):
        compile_unit("nonsense", target)
    assert compile_unit(ADD, target)


def test_single_passes_run_by_name() -> None:
    cpu, features = llvm.host_cpu()
    machine = llvm.TargetMachine(cpu, features, 0)
    with llvm.Context() as context:
        module = context.parse("define i32 @f() {\n  %a = add i32 1, 2\n  ret i32 %a\n}\n")
        machine.run_passes(module, ["InstCombinePass", "SimplifyCFGPass"])
        assert "ret i32 3" in str(module)


def test_the_target_is_plain_data() -> None:
    target = host_target(2)
    assert pickle.loads(pickle.dumps(target)) == target
    assert isinstance(target, TargetSpec)
    assert target.cpu and "+sse2" in target.features


def test_the_same_functions_need_no_relocation_to_call_each_other() -> None:
    text = "define dso_local void @f() {\n  call void @f()\n  ret void\n}\n"
    assert b".rela.text" not in compile_unit(text, host_target(0))


def test_llvmlites_binding_is_not_imported() -> None:
    program = (
        "import sys; from jitwasm.backend.codegen import *\n"
        "compile_unit('define void @f() { ret void }', host_target(0))\n"
        "assert 'llvmlite.binding' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
