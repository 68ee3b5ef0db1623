"""Loops whose accesses overlap by any number of bytes do what they do one step at a time.

LLVM turns such loops into vector code, under conditions that it checks itself while the program
runs or, where it knows the distance, while it compiles. WebAssembly has no aligned types: what a
store writes may be the middle of what the next turn loads.
"""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")
jitwasm = pytest.importorskip("jitwasm")

from tests.support.wat import wat  # noqa: E402

TURNS = 64
BYTES = 6144
# Value type, store, load, bytes of a step, what a turn does with what it loads.
KINDS = {
    "bytes": ("i32", "store8", "load8_u", 1, "(i32.add (i32.const 1) LOAD)"),
    "halves": ("i32", "store16", "load16_s", 2, "(i32.xor (i32.const 0x5a5a) LOAD)"),
    "words": ("i32", "store", "load", 4, "(i32.add (i32.const 0x01020305) LOAD)"),
    "long words": ("i64", "store", "load", 8, "(i64.add (i64.const 0x0102030405060709) LOAD)"),
    "words of bytes": ("i32", "store", "load8_u", 4, "(i32.mul (i32.const 0x01020305) LOAD)"),
    "sums": ("i32", "store", "load", 4, "(i32.add LOAD (i32.load (local.get $to)))"),
    "copies": ("i64", "store", "load", 8, "LOAD"),
    "floats": ("f64", "store", "load", 8, "(f64.add (f64.const 1.5) LOAD)"),
    "vectors": ("v128", "store", "load", 16, "(i8x16.add (v128.const i32x4 1 2 3 4) LOAD)"),
    # Loops over pairs of doubles are taken apart, to be put together at the machine's width.
    "pairs": ("v128", "store", "load", 16, "(f64x2.add (v128.const f64x2 1.5 2.5) LOAD)"),
    "pairs in steps of one": (
        "v128",
        "store",
        "load",
        8,
        "(f64x2.mul (v128.const f64x2 -1 3) LOAD)",
    ),
}


def distances(step: int) -> list[int]:
    """Those where accesses of one turn or the next ones meet, and where the first and last do."""
    span = TURNS * step
    return [*range(-40, 41), *(sign * (span + k) for sign in (-1, 1) for k in range(-17, 18))]


def loops(kind: str, alignment: int) -> str:
    """A function that knows nothing in advance, and some that know the distance."""
    type_, store, load, step, value = KINDS[kind]

    def function(name: str, distance: int | None, turns: int | None) -> str:
        at = f"(i32.add (local.get $to) (i32.const {distance}))"
        if distance is None:
            at = "(local.get $from)"
        turn = value.replace("LOAD", f"({type_}.{load} align={alignment} {at})")
        begin = "" if turns is None else f"(local.set $n (i32.const {turns}))"
        return f"""(func (export "{name}") (param $to i32) (param $from i32) (param $n i32)
          {begin}
          (loop $next
            ({type_}.{store} align={alignment} (local.get $to) {turn})
            (local.set $to (i32.add (local.get $to) (i32.const {step})))
            (local.set $from (i32.add (local.get $from) (i32.const {step})))
            (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"""

    functions = [function("any", None, None)]
    for distance in distances(step):
        functions.append(function(f"far {distance}", distance, None))
        functions.append(function(f"all {distance}", distance, TURNS))
    return f'(module (memory (export "m") 1) {"".join(functions)})'


@pytest.mark.parametrize(
    ("kind", "alignment"),
    [
        *itertools.product(KINDS, [1]),
        *(("words", 4), ("long words", 8), ("copies", 8), ("sums", 4), ("pairs", 8)),
    ],
)
def test_overlap_by_any_number_of_bytes(kind: str, alignment: int) -> None:
    data = wat(loops(kind, alignment))
    start = bytes((i * 37 + i // 256 * 11) % 256 for i in range(BYTES))
    ran: list[dict[str, bytes]] = []
    for options in ({"tier": "baseline"}, {"tier": "optimized", "opt_level": 3}):
        instance = jitwasm.Instance(jitwasm.Module(data, jitwasm.Config(**options, cache=False)))
        seen = {}
        for distance in distances(KINDS[kind][3]):
            for name in ("any", f"far {distance}", f"all {distance}"):
                instance.exports.m[:BYTES] = start
                to = BYTES // 2 + 1
                getattr(instance.exports, name)(to, to + distance, TURNS)
                seen[f"{name}: {distance}"] = bytes(instance.exports.m[:BYTES])
        ran.append(seen)
    baseline, optimized = ran
    assert [at for at in baseline if baseline[at] != optimized[at]] == []
    assert len({*baseline.values()}) > len(baseline) // 6
