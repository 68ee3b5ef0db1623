"""The small runtime of compiled modules, in LLVM IR: address space, traps, the signal handler.

It calls the kernel itself and needs no libc. Every definition is `linkonce_odr hidden`: each
object may carry it, and each program or library keeps one copy for itself. The helpers for tables
and memories are those of the JIT (backend/runtime/libcalls.ll).

How a trap ends a call: each export begins with an activation on its C stack, a setjmp of eight
words, and puts it on top of a thread-local chain. `jw_trap` and the signal handler note the code
there and jump back; the export then returns zero and the instance's state has the code. Signals
are acted on only if the instruction lies in compiled WebAssembly code (section `jwtext`).
"""

from __future__ import annotations

import re

from jitwasm.abi import MEMORY_RECORD, TABLE_RECORD
from jitwasm.backend.runtime.assemble import part_text
from jitwasm.trapcodes import TrapCode

__all__ = [
    "ACTIVATION_WORDS",
    "DECLARATIONS",
    "SECTION",
    "libcalls_ir",
    "memory_functions",
    "runtime_ir",
]

SECTION = "jwtext"
"""The section of all code whose faults are traps."""

ACTIVATION_WORDS = 10
_PREVIOUS, _CODE = 64, 72

DECLARATIONS = """\
@jw_rt_top = external hidden thread_local(initialexec) global ptr
declare i32 @jw_rt_set(ptr) returns_twice
declare void @jw_rt_prepare()
declare ptr @jw_rt_alloc(i64)
declare void @jw_rt_release(ptr, i64)
declare i1 @jw_rt_memory_init(ptr, i64, i64, i64, i64)
declare void @jw_rt_memory_free(ptr)
declare i1 @jw_rt_table_init(ptr, i64, i64)
declare void @jw_rt_table_free(ptr)
"""

_SYSCALL = (
    'call i64 asm sideeffect "syscall", '
    '"={rax},{rax},{rdi},{rsi},{rdx},{r10},{r8},{r9},~{rcx},~{r11},~{memory}"'
)
_REGISTERS = ("rbx", "rbp", "r12", "r13", "r14", "r15")

# Offsets in the kernel's ucontext and siginfo on x86-64.
_UC_RDI, _UC_RSP, _UC_RIP, _UC_EFL = 104, 160, 168, 176
_SI_ADDR = 16


def _naked(name: str, signature: str, lines: list[str]) -> str:
    code = "\\0A".join(line.replace("$", "$$") for line in lines)
    return (
        f"${name} = comdat any\n"
        f"define linkonce_odr hidden {signature} noinline naked nounwind comdat {{\n"
        f'  call void asm sideeffect "{code}", ""()\n  unreachable\n}}\n'
    )


def _set_jump() -> str:
    save = [f"movq %{reg}, {8 * i}(%rdi)" for i, reg in enumerate(_REGISTERS)]
    save += ["leaq 8(%rsp), %rdx", "movq %rdx, 48(%rdi)", "movq (%rsp), %rdx"]
    save += ["movq %rdx, 56(%rdi)", "xorl %eax, %eax", "ret"]
    load = ["movl $1, %eax"]
    load += [f"movq {8 * i}(%rdi), %{reg}" for i, reg in enumerate(_REGISTERS)]
    load += ["movq 48(%rdi), %rsp", "jmpq *56(%rdi)"]
    return (
        _naked("jw_rt_set", "i32 @jw_rt_set(ptr %activation)", save)
        + _naked("jw_rt_jump", "void @jw_rt_jump(ptr %activation)", load)
        + _naked("jw_rt_restorer", "void @jw_rt_restorer()", ["movl $15, %eax", "syscall"])
    )


def _define(signature: str, body: str, attributes: str = "nounwind") -> str:
    name = signature[signature.index("@") + 1 : signature.index("(")]
    return (
        f"${name} = comdat any\n"
        f"define linkonce_odr hidden {signature} {attributes} comdat {{\n{body}}}\n"
    )


def _system_call(result: str, number: int, *args: str) -> str:
    operands = [f"i64 {number}", *(f"i64 {arg}" for arg in args)]
    operands += ["i64 0"] * (7 - len(operands))
    return f"  {result} = {_SYSCALL}({', '.join(operands)})\n"


def _address_space() -> str:
    """mmap and munmap, and what memories and tables are made of."""
    mapping = (
        _system_call("%r", 9, "0", "%size", "%protection", f"{0x4022}", "-1", "0")
        + "  %bad = icmp ugt i64 %r, -4096\n"
        "  %s = select i1 %bad, i64 0, i64 %r\n"
        "  %p = inttoptr i64 %s to ptr\n"
        "  ret ptr %p\n"
    )
    alloc = "  %p = call ptr @jw_rt_map(i64 %size, i64 3)\n  ret ptr %p\n"
    release = (
        "  %a = ptrtoint ptr %p to i64\n" + _system_call("%r", 11, "%a", "%size") + "  ret void\n"
    )
    protect = (
        "  %a = ptrtoint ptr %p to i64\n"
        "  %n = sext i32 %protection to i64\n"
        + _system_call("%r", 10, "%a", "%size", "%n")
        + "  %s = trunc i64 %r to i32\n  ret i32 %s\n"
    )
    return (
        _define("ptr @jw_rt_map(i64 %size, i64 %protection)", mapping)
        + _define("ptr @jw_rt_alloc(i64 %size)", alloc)
        + _define("void @jw_rt_release(ptr %p, i64 %size)", release)
        + _define("i32 @jw_rt_protect(ptr %p, i64 %size, i32 %protection)", protect)
        + _reservation(
            "jw_rt_memory_init",
            "i64 %bytes, i64 %maximum, i64 %reserved, i64 %shift",
            MEMORY_RECORD.offset,
            [
                ("bytes", "%bytes"),
                ("maximum", "%maximum"),
                ("reserved", "%reserved"),
                ("page_shift", "%shift"),
            ],
            committed="  %used = add i64 %bytes, 0\n  %all = add i64 %reserved, 0\n",
        )
        + _free("jw_rt_memory_free", MEMORY_RECORD.offset)
        + _reservation(
            "jw_rt_table_init",
            "i64 %size, i64 %maximum",
            TABLE_RECORD.offset,
            [("size", "%size"), ("maximum", "%maximum"), ("reserved", "%all")],
            committed="  %used0 = shl i64 %size, 3\n  %used1 = add i64 %used0, 4095\n"
            "  %used = and i64 %used1, -4096\n"
            "  %all0 = shl i64 %maximum, 3\n  %all1 = add i64 %all0, 8191\n"
            "  %all = and i64 %all1, -4096\n",
        )
        + _free("jw_rt_table_free", TABLE_RECORD.offset)
    )


def _reservation(
    name: str,
    params: str,
    offset: dict[str, int],
    fields: list[tuple[str, str]],
    committed: str,
) -> str:
    stores = "".join(
        f"  %f{i} = getelementptr i8, ptr %record, i64 {offset[field]}\n"
        f"  store i64 {value}, ptr %f{i}\n"
        for i, (field, value) in enumerate(fields)
    )
    body = (
        f"{committed}"
        "  %base = call ptr @jw_rt_map(i64 %all, i64 0)\n"
        "  %none = icmp eq ptr %base, null\n"
        "  br i1 %none, label %fail, label %reserved_ok\n"
        "reserved_ok:\n"
        "  %rc = call i32 @jw_rt_protect(ptr %base, i64 %used, i32 3)\n"
        "  %ok = icmp eq i32 %rc, 0\n"
        "  br i1 %ok, label %good, label %unmap\n"
        "good:\n"
        f"{stores}"
        "  store ptr %base, ptr %record\n"
        "  ret i1 true\n"
        "unmap:\n"
        "  call void @jw_rt_release(ptr %base, i64 %all)\n"
        "  br label %fail\n"
        "fail:\n"
        "  ret i1 false\n"
    )
    return _define(f"i1 @{name}(ptr %record, {params})", body)


def _free(name: str, offset: dict[str, int]) -> str:
    body = (
        "  %base = load ptr, ptr %record\n"
        "  %none = icmp eq ptr %base, null\n"
        "  br i1 %none, label %done, label %unmap\n"
        "unmap:\n"
        f"  %f = getelementptr i8, ptr %record, i64 {offset['reserved']}\n"
        "  %size = load i64, ptr %f\n"
        "  call void @jw_rt_release(ptr %base, i64 %size)\n"
        "  br label %done\n"
        "done:\n"
        "  ret void\n"
    )
    return _define(f"void @{name}(ptr %record)", body)


def _traps() -> str:
    trap = (
        "  %hooked = icmp ne ptr @jw_trap_hook, null\n"
        "  br i1 %hooked, label %hook, label %jump\n"
        "hook:\n"
        "  call void @jw_trap_hook(i32 %code)\n"
        "  br label %jump\n"
        "jump:\n"
        "  %top = load ptr, ptr @jw_rt_top\n"
        f"  %f = getelementptr i8, ptr %top, i64 {_CODE}\n"
        "  %c = zext i32 %code to i64\n"
        "  store i64 %c, ptr %f\n"
        "  call void @jw_rt_jump(ptr %top)\n"
        "  unreachable\n"
    )
    return (
        "declare extern_weak void @jw_trap_hook(i32)\n"
        "$jw_rt_top = comdat any\n"
        "@jw_rt_top = linkonce_odr hidden thread_local(initialexec) global ptr null, comdat\n"
        + _define("void @jw_trap(i32 %code)", trap, "noinline cold noreturn nounwind")
    )


def _handler() -> str:
    body = f"""\
  %ripp = getelementptr i8, ptr %uc, i64 {_UC_RIP}
  %rip = load i64, ptr %ripp
  %lo = icmp uge i64 %rip, ptrtoint (ptr @__start_jwtext to i64)
  %hi = icmp ult i64 %rip, ptrtoint (ptr @__stop_jwtext to i64)
  %in = and i1 %lo, %hi
  br i1 %in, label %wasm, label %chain
wasm:
  %top = load ptr, ptr @jw_rt_top
  %none = icmp eq ptr %top, null
  br i1 %none, label %chain, label %land
land:
  %sap = getelementptr i8, ptr %info, i64 {_SI_ADDR}
  %sa = load i64, ptr %sap
  %rspp = getelementptr i8, ptr %uc, i64 {_UC_RSP}
  %rsp = load i64, ptr %rspp
  %below = sub i64 %rsp, 65536
  %distance = sub i64 %sa, %below
  %stack = icmp ult i64 %distance, 131072
  %code = select i1 %stack, i64 {int(TrapCode.STACK_OVERFLOW)}, i64 \
{int(TrapCode.OUT_OF_BOUNDS_MEMORY)}
  %cp = getelementptr i8, ptr %top, i64 {_CODE}
  store i64 %code, ptr %cp
  %rdip = getelementptr i8, ptr %uc, i64 {_UC_RDI}
  store ptr %top, ptr %rdip
  store i64 ptrtoint (ptr @jw_rt_jump to i64), ptr %ripp
  %eflp = getelementptr i8, ptr %uc, i64 {_UC_EFL}
  %efl = load i64, ptr %eflp
  %clear = and i64 %efl, -263169
  store i64 %clear, ptr %eflp
  ret void
chain:
  %bus = icmp eq i32 %sig, 7
  %old = select i1 %bus, ptr @jw_rt_old_bus, ptr @jw_rt_old_segv
  %h = load i64, ptr %old
  %default = icmp ult i64 %h, 2
  br i1 %default, label %reset, label %call
reset:
  %s64 = sext i32 %sig to i64
  %olda = ptrtoint ptr %old to i64
{_system_call("%rc", 13, "%s64", "%olda", "0", "8").rstrip()}
  ret void
call:
  %hp = inttoptr i64 %h to ptr
  call void %hp(i32 %sig, ptr %info, ptr %uc)
  ret void
"""
    return _define("void @jw_rt_handler(i32 %sig, ptr %info, ptr %uc)", body)


def _prepare() -> str:
    """Install the handler once, and an alternate stack for each thread."""
    # SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER
    flags = 4 | 0x08000000 | 0x40000000 | 0x04000000
    install = ""
    for signal, old in ((11, "jw_rt_old_segv"), (7, "jw_rt_old_bus")):
        install += _system_call(f"%r{signal}", 13, str(signal), "%new", f"%{old}", "8")
    body = f"""\
  %seen = load i8, ptr @jw_rt_thread_ready
  %ready = icmp ne i8 %seen, 0
  br i1 %ready, label %done, label %thread
thread:
  store i8 1, ptr @jw_rt_thread_ready
  %stack = alloca [3 x i64], align 16
  %stacka = ptrtoint ptr %stack to i64
{_system_call("%q", 131, "0", "%stacka").rstrip()}
  %flagsp = getelementptr i64, ptr %stack, i64 1
  %flags = load i32, ptr %flagsp
  %disabled = and i32 %flags, 2
  %need = icmp ne i32 %disabled, 0
  br i1 %need, label %altstack, label %once
altstack:
  %area = call ptr @jw_rt_map(i64 131072, i64 3)
  store ptr %area, ptr %stack
  store i64 0, ptr %flagsp
  %sizep = getelementptr i64, ptr %stack, i64 2
  store i64 131072, ptr %sizep
{_system_call("%w", 131, "%stacka", "0").rstrip()}
  br label %once
once:
  %first = cmpxchg ptr @jw_rt_installed, i32 0, i32 1 seq_cst seq_cst
  %won = extractvalue {{ i32, i1 }} %first, 1
  br i1 %won, label %install, label %done
install:
  %action = alloca [4 x i64], align 16
  %new = ptrtoint ptr %action to i64
  %jw_rt_old_segv = ptrtoint ptr @jw_rt_old_segv to i64
  %jw_rt_old_bus = ptrtoint ptr @jw_rt_old_bus to i64
  store i64 ptrtoint (ptr @jw_rt_handler to i64), ptr %action
  %a1 = getelementptr i64, ptr %action, i64 1
  store i64 {flags}, ptr %a1
  %a2 = getelementptr i64, ptr %action, i64 2
  store i64 ptrtoint (ptr @jw_rt_restorer to i64), ptr %a2
  %a3 = getelementptr i64, ptr %action, i64 3
  store i64 0, ptr %a3
{install.rstrip()}
  br label %done
done:
  ret void
"""
    variables = "".join(
        f"${name} = comdat any\n@{name} = linkonce_odr hidden {kind}, comdat\n"
        for name, kind in (
            ("jw_rt_old_segv", "global [4 x i64] zeroinitializer, align 16"),
            ("jw_rt_old_bus", "global [4 x i64] zeroinitializer, align 16"),
            ("jw_rt_installed", "global i32 0"),
            ("jw_rt_thread_ready", "thread_local(initialexec) global i8 0"),
        )
    )
    bounds = (
        "@__start_jwtext = external hidden global i8\n@__stop_jwtext = external hidden global i8\n"
    )
    return variables + bounds + _define("void @jw_rt_prepare()", body)


def runtime_ir(signals: bool) -> str:
    """All definitions; without `signals`, no signal handler is installed."""
    prepare = (
        _handler() + _prepare() if signals else _define("void @jw_rt_prepare()", "  ret void\n")
    )
    return _set_jump() + _address_space() + _traps() + prepare


def memory_functions() -> str:
    """memcpy, memmove and memset for this object alone, among the wasm code.

    LLVM makes calls of them from loops over linear memory, whose faults must be traps.
    """
    text = part_text("wasm").replace(".globl \\5Cname", "")
    section = f".section {SECTION},\\22ax\\22,@progbits"
    return text.replace('module asm ".text"', f'module asm "{section}"') + '\nmodule asm ".text"'


_DEFINITION = re.compile(r"^define ([^@\n]*)@([\w.]+)(\(.*\)) (?:uwtable )?\{$", re.M)
_LOOK = re.compile(r"^define void @jw_look\(.*?^\}$", re.M | re.S)


def libcalls_ir() -> str:
    """The helpers for memories and tables, without the JIT's ticks and without libc's mprotect."""
    text = re.sub(r"^declare .*@(?:jw_|mprotect).*$", "", part_text("libcalls"), flags=re.M)
    text = _LOOK.sub("define void @jw_look(i64 %length) {\n  ret void\n}", text)
    text = text.replace("@mprotect(", "@jw_rt_protect(")
    return _DEFINITION.sub(r"$\2 = comdat any\ndefine linkonce_odr hidden \1@\2\3 comdat {", text)
