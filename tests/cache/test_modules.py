"""Modules from the cache: nothing differs but speed, and nothing wrong is ever taken from it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import jitwasm
from jitwasm import Config, codecache, compilation, tierchoice
from jitwasm.codecache import ModuleCache, module_cache
from jitwasm.config import Features, ImplementationLimits
from jitwasm.diskcache import DiskCache
from jitwasm.storedcode import OptimizedCode, StoredCode
from tests.support.wat import wat

MODULE = """(module
  (import "host" "twice" (func $twice (param i32) (result i32)))
  (memory (export "memory") 1)
  (table 2 funcref) (elem (i32.const 0) $add $sub)
  (type $binary (func (param i32 i32) (result i32)))
  (func $add (export "add") (type $binary) (i32.add (local.get 0) (local.get 1)))
  (func $sub (export "sub") (type $binary) (i32.sub (local.get 0) (local.get 1)))
  (func (export "pick") (param i32 i32 i32) (result i32)
    (call_indirect (type $binary) (local.get 1) (local.get 2) (local.get 0)))
  (func (export "four") (param i32) (result i32) (call $twice (call $twice (local.get 0))))
  (func $deep (export "trap") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
      (else (i32.load (i32.const -1)))))
  (func (export "never") (result i32) (i32.const 42))
  (data (i32.const 8) "hello"))"""

WAYS = {
    "optimized": Config(tier="optimized", opt_level=1),
    "baseline": Config(tier="baseline"),
    "lazy": Config(tier_up="never"),
}


@pytest.fixture(params=WAYS)
def config(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(tierchoice, "EAGER_BYTES", 0)
    return WAYS[request.param]


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(tierchoice, "EAGER_BYTES", 0)
    return WAYS["lazy"]


@pytest.fixture
def data() -> bytes:
    return wat(MODULE)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From now on nothing can be compiled or validated."""

    def refuse(*arguments: object) -> object:
        raise AssertionError("compiled")

    with monkeypatch.context() as patch:
        patch.setattr(compilation, "start_code", refuse)
        patch.setattr("jitwasm.tiers.FunctionCompilers", refuse)
        yield


def use(module: jitwasm.Module) -> jitwasm.Instance:
    """Call some functions, and save their code."""
    instance = jitwasm.Instance(module, {"host": {"twice": lambda x: 2 * x}})
    exports = instance.exports
    assert exports.add(2, 3) == 5
    assert exports.pick(1, 7, 3) == 4
    assert exports.four(5) == 20
    assert exports.memory.read(8, 5) == b"hello"
    with pytest.raises(jitwasm.Trap, match="out of bounds") as caught:
        exports.trap(2)
    assert [frame.funcidx for frame in caught.value.frames] == [5, 5, 5]
    assert [frame.name for frame in caught.value.frames] == ["deep"] * 3
    save(module)
    return instance


def save(module: jitwasm.Module) -> None:
    """What is done at exit."""
    lazy: Any = module._parts.lazy
    if lazy is not None:
        lazy.save()


def blobs() -> list[Path]:
    return sorted(Path(os.environ["JITWASM_CACHE"]).glob("*.blob"))


def test_a_second_start_compiles_nothing(
    data: bytes, config: Config, request: pytest.FixtureRequest
) -> None:
    use(jitwasm.Module(data, config))
    request.getfixturevalue("no_compiler")
    use(jitwasm.Module(data, config))


def test_a_stream_finds_it_although_its_end_is_not_known(
    data: bytes, config: Config, request: pytest.FixtureRequest
) -> None:
    use(jitwasm.Module(data, config))
    request.getfixturevalue("no_compiler")
    for size in (1, 7, 100, len(data)):
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        use(jitwasm.compile_streaming(pieces, config).result())


def test_a_stream_that_continues_otherwise_is_compiled(data: bytes, config: Config) -> None:
    use(jitwasm.Module(data, config))
    other = data.replace(b"\x41\x2a", b"\x41\x2b")  # `never` returns another number
    assert other != data
    for pieces in ([other[:-1], other[-1:]], [other[i : i + 1] for i in range(len(other))]):
        module = jitwasm.compile_streaming(pieces, config).result()
        assert use(module).exports.never() == 43
    assert use(jitwasm.Module(data, config)).exports.never() == 42


def test_what_stands_behind_the_code_need_not_be_equal(
    data: bytes, config: Config, request: pytest.FixtureRequest
) -> None:
    use(jitwasm.Module(data, config))
    request.getfixturevalue("no_compiler")
    other = jitwasm.Module(data.replace(b"hello", b"other"), config)
    instance = jitwasm.Instance(other, {"host": {"twice": abs}})
    assert instance.exports.memory.read(8, 5) == b"other"
    assert instance.exports.add(2, 3) == 5


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_errors_are_the_same(data: bytes, config: Config, size: int) -> None:
    def errors() -> list[tuple[type, str, int | None]]:
        found = []
        for broken in (
            data[:-1],  # the data section ends early
            data.replace(b"\x41\x2a", b"\x42\x2a"),  # an i64 where an i32 is to be
            data.replace(b"\x41\x2a", b"\x42\x2a")[:-1],  # both: the first one counts
            data + b"\xff",
        ):
            pieces = [broken[i : i + size] for i in range(0, len(broken), size)]
            with pytest.raises(jitwasm.CompileError) as caught:
                jitwasm.compile_streaming(pieces, config).result()
            found.append((type(caught.value), str(caught.value), caught.value.offset))
        return found

    cold = errors()
    use(jitwasm.Module(data, config))
    assert errors() == cold


def test_functions_that_were_not_called_are_compiled_when_they_are(
    data: bytes, lazy: Config
) -> None:
    use(jitwasm.Module(data, lazy))
    module = jitwasm.Module(data, lazy)
    exports = jitwasm.Instance(module, {"host": {"twice": abs}}).exports
    assert exports.never() == 42
    assert exports.add(1, 1) == 2
    save(module)
    found = stored(data, lazy)
    assert set(found.baseline) == {1, 2, 3, 4, 5, 6}


def stored(data: bytes, config: Config) -> StoredCode:
    """The entry of the module, whose code section is followed by the data section."""
    cache = module_cache(config)
    assert cache is not None
    end = data.index(b"hello") - 7
    found = [cache.load(cache.key(data[: end + skew])) for skew in range(-3, 4)]
    return next(code for code in found if code is not None)


def test_processes_add_to_what_others_have_added(data: bytes, lazy: Config) -> None:
    modules = [jitwasm.Module(data, lazy) for _ in range(2)]
    first, second = (jitwasm.Instance(m, {"host": {"twice": abs}}).exports for m in modules)
    first.add(1, 1)
    second.never()
    for module in modules:
        save(module)
    assert set(stored(data, lazy).baseline) == {1, 6}


def test_it_is_saved_when_the_process_ends(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.wasm").write_bytes(data)
    code = """
        import sys
        import jitwasm
        from jitwasm import tierchoice
        tierchoice.EAGER_BYTES = 0
        module = jitwasm.Module(open(sys.argv[1], "rb").read())
        exports = jitwasm.Instance(module, {"host": {"twice": abs}}).exports
        print(exports.add(2, 3), "jitwasm.tiers" in sys.modules)
    """
    outputs = [
        subprocess.check_output(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "m.wasm")]
        )
        for _ in range(2)
    ]
    assert outputs == [b"5 True\n", b"5 False\n"]


def test_optimised_code_is_preferred_and_both_are_kept(data: bytes, lazy: Config) -> None:
    use(jitwasm.Module(data, lazy))
    optimized = jitwasm.Module(
        wat('(module (import "host" "twice" (func (param i32) (result i32)))'
            " (func (param i32 i32) (result i32) (i32.const 99)))"),
        WAYS["optimized"],
    )  # fmt: skip
    cold: Any = jitwasm.Module(data, lazy)._parts.lazy
    cold.image(lambda symbol: None)
    cold.install(OptimizedCode((1,), optimized.objects[0]))
    cold.save()
    exports = jitwasm.Instance(jitwasm.Module(data, lazy), {"host": {"twice": abs}}).exports
    assert exports.add(2, 3) == 99
    assert exports.pick(0, 2, 3) == 99
    assert exports.sub(5, 3) == 2
    found = stored(data, lazy)
    assert [row.funcidxs for row in found.optimized] == [(1,)]
    assert 1 in found.baseline


def test_of_several_objects_with_a_function_the_last_one_counts(data: bytes, lazy: Config) -> None:
    def code(*numbers: int) -> bytes:
        functions = " ".join(
            f"(func (param i32 i32) (result i32) (i32.const {number}))" for number in numbers
        )
        text = f'(module (import "m" "m" (func (param i32) (result i32))) {functions})'
        return jitwasm.Module(wat(text), WAYS["optimized"]).objects[0]

    cold: Any = jitwasm.Module(data, lazy)._parts.lazy
    cold.image(lambda symbol: None)
    cold.install(OptimizedCode((1, 2), code(10, 20)))
    cold.install(OptimizedCode((2,), code(0, 22)))
    cold.save()
    for order in ((1, 2), (2, 1)):
        module = jitwasm.Module(data, lazy)
        exports = jitwasm.Instance(module, {"host": {"twice": abs}}).exports
        functions = {1: exports.add, 2: exports.sub}
        assert [functions[i](0, 0) for i in order] == [{1: 10, 2: 22}[i] for i in order]
        assert module.tiers.optimized == 2
    warm: Any = jitwasm.Module(data, lazy)
    exports = jitwasm.Instance(warm, {"host": {"twice": abs}}).exports
    warm._parts.lazy.install(OptimizedCode((1, 2), code(11, 21)))
    assert [exports.add(0, 0), exports.sub(0, 0)] == [11, 21]
    warm._parts.lazy.save()
    assert [row.funcidxs for row in stored(data, lazy).optimized] == [(1, 2)]


# Keys.


@pytest.mark.parametrize(
    "change",
    [
        {"strict": True},
        {"bounds": "explicit"},
        {"opt_level": 2},
        {"verify_ir": True},
        {"portable_ir": True},
        {"features": Features(simd=False)},
        {"limits": ImplementationLimits(functions=10)},
        {"limits": ImplementationLimits(stack_bytes=1 << 20)},
    ],
    ids=str,
)
def test_what_changes_code_changes_the_key(change: dict[str, Any]) -> None:
    assert key(Config()) != key(replace(Config(), **change))


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 3},
        {"host_calls": "ctypes"},
        {"release_gil": True},
        {"cache_size": 1},
        {"limits": ImplementationLimits(call_seconds=1.0)},
        {"limits": ImplementationLimits(instances=1)},
        {"limits": ImplementationLimits(memory_bytes=1 << 20)},
    ],
)
def test_what_changes_no_code_does_not(change: dict[str, Any]) -> None:
    assert key(Config()) == key(replace(Config(), **change))


def key(config: Config) -> str:
    return ModuleCache(DiskCache("/nowhere", 1), config).key(b"module")


def test_other_versions_processors_and_compilers_have_other_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = {key(Config())}
    changes: list[tuple[str, object]] = [
        ("__version__", "0.0.0"),
        ("ABI_VERSION", -1),
        ("_processor", lambda: "another processor"),
        ("_llvm", lambda: "another LLVM"),
        ("_sources", lambda: "edited"),
    ]
    for name, value in changes:
        with monkeypatch.context() as patch:
            patch.setattr(codecache, name, value)
            codecache.environment.cache_clear()
            keys.add(key(Config()))
    codecache.environment.cache_clear()
    assert len(keys) == 1 + len(changes)


def test_every_edit_of_the_sources_is_seen(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    source = tmp_path / "inner" / "source.py"
    seen = set()
    for text, time in (("one", 1), ("two", 2), ("three", 2)):
        source.write_text(text)
        os.utime(source, (time, time))
        seen.add(tuple(codecache._files(str(tmp_path))))
    (tmp_path / "inner" / "more.py").write_text("")
    seen.add(tuple(codecache._files(str(tmp_path))))
    assert len(seen) == 4


def test_the_amount_of_stack_does_not_change_the_key() -> None:
    keys = [
        key(Config(limits=ImplementationLimits(stack_bytes=size))) for size in (1 << 20, 1 << 21)
    ]
    assert keys[0] == keys[1]


def test_a_limit_holds_for_modules_in_the_cache(data: bytes, config: Config) -> None:
    use(jitwasm.Module(data, config))
    limits = ImplementationLimits(functions=2)
    with pytest.raises(jitwasm.CompileError, match="limit"):
        jitwasm.Module(data, replace(config, limits=limits))


# Damage.


@pytest.mark.parametrize("damage", ["empty", "cut", "flip", "foreign", "folder"])
def test_damaged_entries_are_ignored_and_replaced(
    data: bytes, config: Config, damage: str, request: pytest.FixtureRequest
) -> None:
    use(jitwasm.Module(data, config))
    for blob in blobs():
        whole = blob.read_bytes()
        if damage == "empty":
            blob.write_bytes(b"")
        elif damage == "cut":
            blob.write_bytes(whole[: len(whole) // 2])
        elif damage == "flip":
            blob.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
        elif damage == "foreign":
            blob.write_bytes(pickle.dumps(whole))
        else:
            blob.unlink()
    use(jitwasm.Module(data, config))
    request.getfixturevalue("no_compiler")
    use(jitwasm.Module(data, config))


def test_an_entry_that_is_whole_but_nonsense_is_ignored(data: bytes, config: Config) -> None:
    use(jitwasm.Module(data, config))
    cache = DiskCache(os.environ["JITWASM_CACHE"], 1 << 20)
    for blob in blobs():
        for nonsense in (b"", b"\xff" * 100, b"\0" * 100, b"\x04\0\0\0" + b"\x02\0\0\0" * 4):
            cache.put(blob.stem, nonsense)
            use(jitwasm.Module(data, config))
            cache.put(blob.stem, nonsense)


def test_an_entry_of_another_tier_is_ignored(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert jitwasm.Module(data).objects
    monkeypatch.setattr(tierchoice, "EAGER_BYTES", 0)
    assert not jitwasm.Module(data).objects
    use(jitwasm.Module(data))


def test_entries_survive_packing() -> None:
    code = StoredCode(
        "lazy",
        "machine",
        (b"object", b""),
        {3: b"\x90", 70_000: b""},
        {4: b"fallback"},
        (OptimizedCode((1, 2, 3), b"unit"), OptimizedCode((9,), b"")),
        [9, 1],
    )
    assert StoredCode.unpack(code.pack()) == code


# Use.


def test_it_can_be_turned_off_and_moved(data: bytes, config: Config, tmp_path: Path) -> None:
    use(jitwasm.Module(data, replace(config, cache=False)))
    assert blobs() == []
    use(jitwasm.Module(data, replace(config, cache=tmp_path / "here")))
    assert blobs() == []
    assert list((tmp_path / "here").glob("*.blob"))


def test_a_module_from_the_cache_pickles(data: bytes, config: Config) -> None:
    use(jitwasm.Module(data, config))
    module = jitwasm.Module(data, config)
    again = pickle.loads(pickle.dumps(module))
    assert again.objects == module.objects
    use(again)


def test_compilation_is_audited_every_time(data: bytes) -> None:
    code = """
        import sys
        import jitwasm
        seen = []
        sys.addaudithook(lambda name, args: name.startswith("jitwasm.") and seen.append(name))
        data = bytes.fromhex(sys.argv[1])
        for _ in range(2):
            jitwasm.Instance(jitwasm.Module(data), {"host": {"twice": abs}})
        print(*seen)
    """
    output = subprocess.check_output([sys.executable, "-c", textwrap.dedent(code), data.hex()])
    assert output.split() == [b"jitwasm.compile", b"jitwasm.instantiate"] * 2


def test_a_module_without_code_is_not_stored() -> None:
    jitwasm.Module(wat("(module (memory 1))"))
    assert blobs() == []


def test_a_disk_that_is_full_changes_nothing(
    data: bytes, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    use(jitwasm.Module(data, config))
    assert blobs() == []
