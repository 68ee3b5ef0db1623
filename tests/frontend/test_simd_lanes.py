"""Vector instructions with immediates: lanes, shuffles, constants, loads and stores."""

from __future__ import annotations

import functools
import random

import pytest

from jitwasm.config import Config
from jitwasm.errors import InvalidError, MalformedError
from tests.support.simd_oracle import lanes, pack, signed
from tests.support.simd_values import vector
from tests.support.vector_harness import CompiledVectors, VectorModule, translate
from tests.support.wat import wat

LEVELS = [0, 2]
SHAPES = {"i8x16": 8, "i16x8": 16, "i32x4": 32, "i64x2": 64, "f32x4": 32, "f64x2": 64}
SCALARS = {"i8x16": "i32", "i16x8": "i32", "i32x4": "i32", "i64x2": "i64"}
SCALARS |= {"f32x4": "f32", "f64x2": "f64"}
NAMES = [f"{shape}/{lane}" for shape, bits in SHAPES.items() for lane in range(128 // bits)]


def sample(name: str, count: int) -> list[bytes]:
    rng = random.Random(name)
    return [vector(rng) for _ in range(count)]


def compile_text(functions: list[str], level: int) -> CompiledVectors:
    return VectorModule(wat(f"(module (memory 1) {' '.join(functions)})"), Config()).compile(level)


# --- lanes ----------------------------------------------------------------------------------------


def lane_functions(shape: str, lane: int) -> list[str]:
    scalar, name = SCALARS[shape], f"{shape}/{lane}"
    suffixes = ["_s", "_u"] if SHAPES[shape] < 32 else [""]
    extracts = [
        f'(func (export "extract{suffix} {name}") (param v128) (result {scalar})'
        f" ({shape}.extract_lane{suffix} {lane} (local.get 0)))"
        for suffix in suffixes
    ]
    return [
        *extracts,
        f'(func (export "replace {name}") (param v128 {scalar}) (result v128)'
        f" ({shape}.replace_lane {lane} (local.get 0) (local.get 1)))",
    ]


@functools.cache
def lane_module(level: int) -> CompiledVectors:
    functions = [
        text
        for shape, bits in SHAPES.items()
        for lane in range(128 // bits)
        for text in lane_functions(shape, lane)
    ]
    return compile_text(functions, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NAMES)
def test_extract_lane_gives_that_lane_extended(level: int, name: str) -> None:
    shape, _, lane = name.partition("/")
    bits = SHAPES[shape]
    compiled, values = lane_module(level), sample(name, 20)
    plain = [lanes(value, bits)[int(lane)] for value in values]
    if bits < 32:
        extended = [signed(x, bits) & 0xFFFFFFFF for x in plain]
        assert compiled.call(f"extract_s {name}", [[v] for v in values]) == extended
        assert compiled.call(f"extract_u {name}", [[v] for v in values]) == plain
    else:
        assert compiled.call(f"extract {name}", [[v] for v in values]) == plain


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NAMES)
def test_replace_lane_changes_that_lane_only(level: int, name: str) -> None:
    shape, _, lane = name.partition("/")
    bits, scalar_bits = SHAPES[shape], 64 if "64" in SCALARS[shape] else 32
    for value, other in zip(sample(name, 10), sample(name + "!", 10), strict=True):
        x = lanes(other, scalar_bits)[0]
        want = lanes(value, bits)
        want[int(lane)] = x
        assert lane_module(level).run(f"replace {name}", value, x) == pack(want, bits)


@pytest.mark.parametrize(
    ("instruction", "count"),
    [(f"{s}.extract_lane{'_s' * (b < 32)}", 128 // b) for s, b in SHAPES.items()],
)
def test_a_lane_index_out_of_range_is_invalid(instruction: str, count: int) -> None:
    text = f"(module (func (param v128) local.get 0 {instruction} {count - 1} drop))"
    binary = bytearray(wat(text))
    at = binary.rindex(bytes([count - 1, 0x1A, 0x0B]))
    translate(bytes(binary), Config())
    binary[at] = count
    with pytest.raises(InvalidError, match="invalid lane index"):
        translate(bytes(binary), Config())


# --- shuffles and constants -----------------------------------------------------------------------


def shuffles() -> list[bytes]:
    rng = random.Random("shuffles")
    regular = [
        bytes(range(16)),
        bytes(range(16, 32)),
        bytes(range(31, 15, -1)),
        bytes([0] * 16),
        bytes([31] * 16),
        bytes(i // 2 + 16 * (i % 2) for i in range(16)),
        bytes(range(8, 24)),
    ]
    return regular + [bytes(rng.randrange(32) for _ in range(16)) for _ in range(20)]


@functools.cache
def shuffle_module(level: int) -> CompiledVectors:
    functions = [
        f'(func (export "{i}") (param v128 v128) (result v128)'
        f" (i8x16.shuffle {' '.join(map(str, picks))} (local.get 0) (local.get 1)))"
        for i, picks in enumerate(shuffles())
    ]
    return compile_text(functions, level)


@pytest.mark.parametrize("level", LEVELS)
def test_shuffle_picks_bytes_of_both_operands(level: int) -> None:
    pairs = [list(pair) for pair in zip(sample("a", 10), sample("b", 10), strict=True)]
    for i, picks in enumerate(shuffles()):
        want = [bytes((a + b)[pick] for pick in picks) for a, b in pairs]
        assert shuffle_module(level).call(str(i), pairs) == want


def test_a_shuffle_index_of_32_is_invalid() -> None:
    binary = wat("""(module (func (param v128) local.get 0 local.get 0
        i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 drop))""")
    with pytest.raises(InvalidError, match="invalid lane index"):
        translate(binary.replace(b"\x0e\x0f\x1a", b"\x0e\x20\x1a"), Config())


def test_a_constant_that_the_body_cuts_off_is_malformed() -> None:
    binary = wat("(module (func (drop (v128.const i64x2 1 2))))")
    body = binary.index(b"\xfd\x0c")
    cut = bytearray(binary[: body + 10])
    cut[body - 2] = len(cut) - (body - 1)  # the body's size
    cut[body - 4] = len(cut) - (body - 3)  # the section's
    with pytest.raises((MalformedError, InvalidError)):
        translate(bytes(cut), Config())


@pytest.mark.parametrize("level", LEVELS)
def test_constants_keep_every_bit(level: int) -> None:
    values = [*sample("constants", 30), bytes(16), b"\xff" * 16]
    functions = [
        f'(func (export "{i}") (result v128) (v128.const i8x16 {" ".join(map(str, value))}))'
        for i, value in enumerate(values)
    ]
    compiled = compile_text(functions, level)
    assert [compiled.run(str(i)) for i in range(len(values))] == values


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_splat_of_a_literal_has_its_bits(level: int, shape: str) -> None:
    scalar, bits = SCALARS[shape], SHAPES[shape]
    literals = {"i32": ["-1", "0x12345678"], "i64": ["-2", "0x123456789abcdef0"]}
    literals["f32"] = literals["f64"] = ["1.5", "-0", "inf", "nan:0x1234", "0x1p-149", "0"]
    compiled = compile_text(
        [
            f'(func (export "{text}") (result v128) ({shape}.splat ({scalar}.const {text})))'
            f'(func (export "scalar {text}") (result {scalar}) ({scalar}.const {text}))'
            for text in literals[scalar]
        ],
        level,
    )
    for text in literals[scalar]:
        x = compiled.run(f"scalar {text}")
        assert isinstance(x, int)
        assert compiled.run(text) == pack([x] * (128 // bits), bits)


@pytest.mark.parametrize("level", LEVELS)
def test_a_float_local_that_was_never_set_splats_zeros(level: int) -> None:
    text = '(func (export "f") (result v128) (local f32) (f32x4.splat (local.get 0)))'
    assert compile_text([text], level).run("f") == bytes(16)


# --- memory ---------------------------------------------------------------------------------------

INT_SHAPES = {8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2"}
OFFSET = 5


def loads() -> dict[str, tuple[str, int]]:
    """The text of each load as a function, and how many bytes it reads."""
    sizes = {"v128.load": 16, "v128.load32_zero": 4, "v128.load64_zero": 8}
    sizes |= {f"v128.load{bits}_splat": bits // 8 for bits in INT_SHAPES}
    for bits in (8, 16, 32):
        sizes |= {f"v128.load{bits}x{64 // bits}_{sign}": 8 for sign in "su"}
    return {
        name: (
            f'(func (export "{name}") (param i32) (result v128)'
            f" ({name} offset={OFFSET} (local.get 0)))",
            size,
        )
        for name, size in sizes.items()
    }


def lane_accesses() -> list[str]:
    return [
        f'(func (export "load{bits} {lane}") (param i32 v128) (result v128)'
        f" (v128.load{bits}_lane offset={OFFSET} {lane} (local.get 0) (local.get 1)))"
        f'(func (export "store{bits} {lane}") (param i32 v128)'
        f" (v128.store{bits}_lane offset={OFFSET} {lane} (local.get 0) (local.get 1)))"
        for bits in INT_SHAPES
        for lane in range(128 // bits)
    ]


@functools.cache
def memory_module(level: int) -> CompiledVectors:
    store = (
        '(func (export "v128.store") (param i32 v128)'
        f" (v128.store offset={OFFSET} (local.get 0) (local.get 1)))"
    )
    texts = [text for text, _ in loads().values()]
    return compile_text([*texts, store, *lane_accesses()], level)


def loaded(name: str, data: bytes) -> bytes:
    """What a load makes of the bytes it reads."""
    kind = name.removeprefix("v128.load")
    if not kind or kind.endswith("zero"):
        return data.ljust(16, b"\0")
    if kind.endswith("splat"):
        return data * (16 // len(data))
    bits = int(kind.partition("x")[0])
    values = [int.from_bytes(data[i : i + bits // 8], "little") for i in range(0, 8, bits // 8)]
    return pack([signed(x, bits) if kind.endswith("s") else x for x in values], 2 * bits)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", loads())
def test_loads_fill_the_lanes(level: int, name: str) -> None:
    compiled = memory_module(level)
    for at, data in enumerate(sample(name, 10)):
        compiled.memory[at + OFFSET : at + OFFSET + 16] = data
        assert compiled.run(name, at) == loaded(name, data[: loads()[name][1]])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bits", INT_SHAPES)
def test_load_lane_replaces_one_lane(level: int, bits: int) -> None:
    compiled = memory_module(level)
    for lane, (value, data) in enumerate(
        zip(sample("v", 128 // bits), sample("m", 128 // bits), strict=True)
    ):
        compiled.memory[lane + OFFSET : lane + OFFSET + 16] = data
        want = lanes(value, bits)
        want[lane] = lanes(data, bits)[0]
        assert compiled.run(f"load{bits} {lane}", lane, value) == pack(want, bits)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bits", INT_SHAPES)
def test_store_lane_writes_only_that_lane(level: int, bits: int) -> None:
    compiled = memory_module(level)
    size = bits // 8
    for lane, value in enumerate(sample("v", 128 // bits)):
        compiled.memory[0:64] = b"\xa5" * 64
        compiled.run(f"store{bits} {lane}", 20, value)
        want = bytearray(b"\xa5" * 64)
        want[20 + OFFSET : 20 + OFFSET + size] = value[lane * size : lane * size + size]
        assert bytes(compiled.memory[:64]) == bytes(want)


@pytest.mark.parametrize("level", LEVELS)
def test_store_writes_sixteen_bytes(level: int) -> None:
    compiled, value = memory_module(level), sample("store", 1)[0]
    compiled.memory[0:64] = b"\xa5" * 64
    compiled.run("v128.store", 3, value)
    want = b"\xa5" * (3 + OFFSET) + value
    assert bytes(compiled.memory[:64]) == want.ljust(64, b"\xa5")


@pytest.mark.parametrize(
    ("name", "size"),
    [(name, size) for name, (_, size) in loads().items()] + [("v128.store", 16)],
)
def test_an_alignment_beyond_the_access_is_invalid(name: str, size: int) -> None:
    value = "(v128.const i64x2 0 0)" if "store" in name else ""
    end = "" if "store" in name else "drop"
    text = f"(module (memory 1) (func ({name} align={size} (i32.const 0) {value}) {end}))"
    binary = wat(text)
    exponent = size.bit_length() - 1
    translate(binary, Config())
    at = binary.rindex(bytes([exponent, 0, 0x1A, 0x0B] if end else [exponent, 0, 0x0B]))
    wrong = binary[:at] + bytes([exponent + 1]) + binary[at + 1 :]
    with pytest.raises(InvalidError, match="alignment must not be larger than natural"):
        translate(wrong, Config())
