"""Modules made to explode algorithms: how long each tier takes for them, and how much memory.

`python -m tests.fuzz hostile` prints the table. Every compilation runs in a process of its own,
with a limit on its CPU time; an entry without a number did not end within it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fuzz.mutants import MAGIC, leb

__all__ = ["SHAPES", "hostile_module", "measure", "table"]

_I32, _I64, _V128, _VOID = 0x7F, 0x7E, 0x7B, 0x40
_GET, _SET, _TEE = b"\x20", b"\x21", b"\x22"
_BLOCK, _LOOP, _IF, _ELSE, _END, _BR, _BR_IF = (bytes([c]) for c in b"\x02\x03\x04\x05\x0b\x0c\x0d")

Signature = tuple[Sequence[int], Sequence[int]]


def signed(value: int) -> bytes:
    """A signed number in LEB128."""
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value in (0, -1) and bool(byte & 0x40) == (value < 0):
            return bytes([*out, byte])
        out.append(byte | 0x80)


def _section(number: int, payload: bytes) -> bytes:
    return bytes([number]) + leb(len(payload)) + payload


def module_of(
    functions: Sequence[tuple[int, Sequence[tuple[int, int]], bytes]],
    types: Sequence[Signature] = (((_I32,), (_I32,)),),
) -> bytes:
    """A module: functions as (type, locals, code without the end), a memory, all exported."""
    rows = [b"\x60" + leb(len(p)) + bytes(p) + leb(len(r)) + bytes(r) for p, r in types]
    bodies = []
    for _, locals_, code in functions:
        declared = b"".join(leb(count) + bytes([type_]) for count, type_ in locals_)
        body = leb(len(locals_)) + declared + code + _END
        bodies.append(leb(len(body)) + body)
    count = leb(len(functions))
    return b"".join(
        (
            MAGIC,
            _section(1, leb(len(types)) + b"".join(rows)),
            _section(3, count + b"".join(leb(type_) for type_, _, _ in functions)),
            _section(4, b"\x01\x70\x00\x04"),
            _section(5, b"\x01\x00\x01"),
            _section(7, b"\x01\x01f\x00\x00"),
            _section(10, count + b"".join(bodies)),
        )
    )


def _one(code: bytes, locals_: Sequence[tuple[int, int]] = ((4, _I32),)) -> bytes:
    return module_of([(0, locals_, code)])


def _get(i: int) -> bytes:
    return _GET + leb(i)


def _set(i: int) -> bytes:
    return _SET + leb(i)


def _const(value: int) -> bytes:
    return b"\x41" + signed(value)


def _sequential_blocks(n: int) -> bytes:
    step = _BLOCK + b"\x40" + _get(0) + _BR_IF + b"\0" + _get(1) + _const(3) + b"\x6a" + _set(1)
    return _one((step + _END) * n + _get(1))


def _nested_blocks(n: int) -> bytes:
    leave = _get(0) + _BR_IF + leb(n // 2)
    return _one(b"\x02\x40" * n + leave + _END * n + _get(0))


def _nested_loops(n: int) -> bytes:
    back = _get(0) + _const(1) + b"\x6b" + _TEE + b"\0" + _BR_IF + b"\0" + _END
    return _one(b"\x03\x40" * n + back * n + _get(0))


def _sequential_loops(n: int) -> bytes:
    loop = b"\x03\x40" + _get(0) + _const(1) + b"\x6b" + _TEE + b"\0" + _BR_IF + b"\0" + _END
    return _one(loop * n + _get(0))


def _loops_with_many_locals(n: int, count: int) -> bytes:
    """Each loop changes another local: a phi for every local in every loop, unless one looks."""
    code = b"".join(
        b"\x03\x40"
        + _get(i % count)
        + _get(0)
        + b"\x6a"
        + _set((i * 7) % count)
        + _get(0)
        + _BR_IF
        + b"\0"
        + _END
        for i in range(n)
    )
    return _one(code + _get(count - 1), ((count, _I32),))


def _branches_with_many_locals(n: int, count: int) -> bytes:
    code = b"".join(
        _get(0)
        + b"\x04\x40"
        + _get(i % count)
        + _const(i)
        + b"\x6a"
        + _set((i * 7) % count)
        + _ELSE
        + _const(i)
        + _set((i * 5) % count)
        + _END
        for i in range(n)
    )
    return _one(code + _get(count - 1), ((count, _I32),))


def _giant_table(targets: int, blocks: int) -> bytes:
    labels = b"".join(leb(i * 7919 % blocks) for i in range(targets + 1))
    arm = _END + _get(1) + _const(1) + b"\x6a" + _set(1)
    code = b"\x02\x40" * blocks + _get(0) + b"\x0e" + leb(targets) + labels
    return _one(code + arm * blocks + _get(1))


def _many_tables(n: int, targets: int) -> bytes:
    labels = b"".join(leb(i % 4) for i in range(targets + 1))
    piece = b"\x02\x40" * 4 + _get(0) + b"\x0e" + leb(targets) + labels + _END * 4
    return _one(piece * n + _get(1))


def _many_locals(n: int) -> bytes:
    code = b"".join(_get(i) + _const(i) + b"\x6a" + _set(i + 1) for i in range(n - 1))
    return _one(code + _get(n - 1), ((n, _I32),))


def _straight_line(size: int, memory: bool) -> bytes:
    code = bytearray()
    i = 0
    while len(code) < size:
        a, b = i * 7 % 5, i * 3 % 5
        code += _get(a) + _get(b) + bytes([(0x6A, 0x6C, 0x73, 0x6B)[i % 4]]) + _set(b)
        if memory:
            code += _get(b) + _get(a) + b"\x36\x02" + leb(i % 100)
            code += _get(a) + b"\x28\x02" + leb(i % 90) + _set(a)
        i += 1
    return _one(bytes(code) + _get(1))


def _deep_stack(n: int) -> bytes:
    code = b"".join(_get(i % 5) for i in range(n))
    return _one(code + b"\x6a" * (n - 1))


def _deep_stack_of_calls(n: int) -> bytes:
    """All values live across all calls."""
    return _one((_get(0) + b"\x10\x00") * n + b"\x6a" * (n - 1))


def _divisions(n: int) -> bytes:
    return _one((_get(0) + _get(1) + b"\x6d" + _set(0)) * n + _get(0))


def _calls(n: int) -> bytes:
    return _one((_get(0) + b"\x10\x00" + _set(0)) * n + _get(0))


def _nested_ifs(n: int) -> bytes:
    then = _get(0) + _const(1) + b"\x71" + b"\x04\x40"
    tail = _ELSE + _get(1) + _const(1) + b"\x6a" + _set(1) + _END
    return _one(then * n + tail * n + _get(1))


def _wide_functions(n: int, calls: int) -> bytes:
    """Functions of n parameters and n results that call each other."""
    wide = ((_I32, _I64) * (n // 2), (_I64, _I32) * (n // 2))
    first = b"".join(_const(i) if i % 2 == 0 else b"\x42" + signed(i) for i in range(n))
    drop = b"\x1a" * n
    forward = b"".join(_get(i ^ 1) for i in range(n))
    return module_of(
        [(0, (), (first + b"\x10\x01" + drop) * calls + _get(0)), (1, (), forward)],
        (((_I32,), (_I32,)), wide),
    )


def _wide_blocks(n: int, count: int) -> bytes:
    """Blocks that take and give n values, and branches out of them."""
    types = (((_I32,), (_I32,)), ((_I32,) * n, (_I32,) * n))
    enter = b"".join(_get(0) for _ in range(n))
    block = _BLOCK + b"\x01" + _get(0) + _BR_IF + b"\0" + _END
    return module_of([(0, (), enter + block * count + b"\x6a" * (n - 1))], types)


def _selects(n: int) -> bytes:
    return _one(_get(0) + (_get(1) + _get(2) + b"\x1b" + _set(2) + _get(2)) * n)


def _vectors(n: int) -> bytes:
    shuffle = b"\xfd\x0d" + bytes(range(16, 0, -1))
    piece = _get(1) + _get(2) + shuffle + _get(1) + b"\xfd\xf7\x01" + _set(1)
    return _one(piece * n + _get(1) + b"\xfd\x1b\0", ((2, _V128),))


def _bulk(n: int) -> bytes:
    return _one((_get(0) + _get(0) + _get(0) + b"\xfc\x0a\0\0") * n + _get(0))


def _many_functions(n: int) -> bytes:
    return module_of([(0, (), _get(0))] * n)


def _many_types(n: int) -> bytes:
    types = [((_I32,), (_I32,))]
    choices = (_I32, _I64, 0x7D, 0x7C)
    types += [(tuple(choices[i >> 2 * k & 3] for k in range(10)), ()) for i in range(n)]
    return module_of([(0, (), _get(0))], types)


def _float_chain(n: int) -> bytes:
    piece = _get(1) + b"\x44" + bytes(6) + b"\xf0\x3f" + b"\xa3" + b"\x9f" + _set(1)
    return _one(piece * n + _get(1) + b"\xfc\x02", ((1, 0x7C),))


def _loop_of_loads(n: int) -> bytes:
    """One loop with very many accesses, which LLVM wants to vectorise."""
    piece = b"".join(
        _get(0) + _get(0) + b"\x28\x02" + leb(4 * i) + b"\x36\x02" + leb(4 * i + 40_000)
        for i in range(n)
    )
    step = _get(0) + _const(4) + b"\x6a" + _TEE + b"\0" + _const(10_000) + b"\x48"
    return _one(b"\x03\x40" + piece + step + _BR_IF + b"\0" + _END + _get(0))


SHAPES: dict[str, Callable[[], bytes]] = {
    "20,000 blocks in a row": lambda: _sequential_blocks(20_000),
    "10,000 nested blocks": lambda: _nested_blocks(10_000),
    "1,000 nested loops": lambda: _nested_loops(1_000),
    "4,000 nested loops": lambda: _nested_loops(4_000),
    "10,000 loops in a row": lambda: _sequential_loops(10_000),
    "2,000 loops, 1,000 locals": lambda: _loops_with_many_locals(2_000, 1_000),
    "5,000 ifs, 2,000 locals": lambda: _branches_with_many_locals(5_000, 2_000),
    "3,000 nested ifs": lambda: _nested_ifs(3_000),
    "br_table of 100,000, 1,000 blocks": lambda: _giant_table(100_000, 1_000),
    "500 br_tables of 1,000": lambda: _many_tables(500, 1_000),
    "50,000 locals": lambda: _many_locals(49_999),
    "200 KB of arithmetic": lambda: _straight_line(200_000, False),
    "200 KB with accesses": lambda: _straight_line(200_000, True),
    "1 MB of arithmetic": lambda: _straight_line(1_000_000, False),
    "20,000 operands deep": lambda: _deep_stack(20_000),
    "5,000 operands across calls": lambda: _deep_stack_of_calls(5_000),
    "20,000 divisions": lambda: _divisions(20_000),
    "20,000 calls": lambda: _calls(20_000),
    "20,000 selects": lambda: _selects(20_000),
    "10,000 divisions of floats": lambda: _float_chain(10_000),
    "5,000 shuffles": lambda: _vectors(5_000),
    "5,000 memory.copy": lambda: _bulk(5_000),
    "1,000 parameters and results, 50 calls": lambda: _wide_functions(1_000, 50),
    "200 blocks of 1,000 values": lambda: _wide_blocks(1_000, 200),
    "a loop of 3,000 copies": lambda: _loop_of_loads(3_000),
    "50,000 functions": lambda: _many_functions(50_000),
    "200,000 types": lambda: _many_types(200_000),
}

_WAYS = {
    "validate": None,
    "baseline": {"tier": "baseline"},
    "O0": {"tier": "optimized", "opt_level": 0},
    "O2": {"tier": "optimized"},
    "auto": {"tier": "auto"},
    "tier-up": {"tier": "auto", "tier_up": "early"},
}


def hostile_module(shape: str) -> bytes:
    """The module of a shape."""
    return SHAPES[shape]()


def measure(shape: str, way: str, seconds: int) -> str:
    """CPU seconds and MiB of compiling and calling once, as text."""
    command = [sys.executable, "-m", "tests.fuzz.hostile", shape, way, str(seconds)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode == 0:
        row = json.loads(done.stdout.splitlines()[-1])
        return f"{row['seconds']:.1f} s, {row['mib']:.0f}" + (" " + row["said"]).rstrip()
    if done.returncode in (-24, -9):
        return f"> {seconds} s"
    return f"dies: {done.returncode}, {done.stderr.decode()[-200:].strip()}"


def table(shapes: Sequence[str], ways: Sequence[str], seconds: int) -> None:
    """Print the table, row by row."""
    print("| shape | KB | " + " | ".join(f"{way}: s, MiB" for way in ways) + " |")
    print("|---" * (len(ways) + 2) + "|", flush=True)
    for shape in shapes:
        size = len(hostile_module(shape)) / 1000
        cells = [measure(shape, way, seconds) for way in ways]
        print(f"| {shape} | {size:.0f} | " + " | ".join(cells) + " |", flush=True)


def _compile(shape: str, way: str, seconds: int) -> None:
    import jitwasm
    from tests.fuzz.tiers import settle

    data = hostile_module(shape)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    jitwasm.validate(MAGIC)
    before, start = _resident(), time.process_time()
    said = ""
    options = _WAYS[way]
    try:
        if options is None:
            said = "" if jitwasm.validate(data) else "invalid"
        else:
            config = jitwasm.Config(threads=1, cache=False, **options)  # type: ignore[arg-type]
            instance = jitwasm.Instance(jitwasm.Module(data, config))
            with jitwasm.deadline(2), contextlib.suppress(jitwasm.Trap):
                instance.exports.f(1)
            if way == "tier-up":
                settle(instance.module)
    except (jitwasm.CompileError, AssertionError) as error:
        said = f"({type(error).__name__})"
    taken = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": taken, "mib": peak - before, "said": said}), flush=True)
    os._exit(0)  # without waiting for what goes on in the background


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) >> 8


WAYS = tuple(_WAYS)

if __name__ == "__main__":
    _compile(sys.argv[1], sys.argv[2], int(sys.argv[3]))
