"""Instantiation: the steps in their order, and what a failure leaves behind."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from typing import Any

import pytest

from jitwasm import Config, Global, ImplementationLimits, Instance, Memory, Table, Tag, Trap
from tests.runtime.support import instantiate, module_of

PAGE = 65536


def test_exports_are_reached_by_attribute_and_by_item() -> None:
    exports = instantiate(
        """(module (func (export "f") (result i32) i32.const 1)
             (memory (export "weird name") 1) (global (export "g") i32 (i32.const 2)))"""
    ).exports
    assert exports.f is exports["f"]
    assert exports["weird name"] is exports["weird name"]
    assert list(exports) == ["f", "weird name", "g"]
    assert len(exports) == 3
    assert "g" in exports
    assert "h" not in exports
    assert [type(v).__name__ for v in exports.values()][1:] == ["Memory", "Global"]
    assert dict(exports)["f"] is exports.f


def test_exports_keep_the_order_of_the_module() -> None:
    text = '(module (func $f) (export "z" (func $f)) (export "a" (func $f)) (export "" (func $f)))'
    exports = instantiate(text).exports
    assert list(exports) == ["z", "a", ""]
    assert exports.z is exports.a
    assert exports[""] is exports.a


def test_missing_export_is_an_attribute_or_key_error() -> None:
    exports = instantiate("(module)").exports
    with pytest.raises(AttributeError, match="no export 'f'"):
        exports.f  # noqa: B018
    with pytest.raises(KeyError):
        exports["f"]


def test_exports_are_frozen() -> None:
    exports = instantiate('(module (func (export "f")))').exports
    for change in (
        lambda: setattr(exports, "f", None),
        lambda: setattr(exports, "new", None),
        lambda: delattr(exports, "f"),
    ):
        with pytest.raises(AttributeError, match="read-only"):
            change()
    with pytest.raises(TypeError):
        exports["f"] = None  # type: ignore[index]


@pytest.mark.parametrize("name", ["get", "keys", "items", "values", "_names", "f\0", "\0make"])
def test_export_may_have_any_name(name: str) -> None:
    escaped = "".join(f"\\{b:02x}" for b in name.encode())
    exports = instantiate(f'(module (func (export "{escaped}") (result i32) i32.const 4))').exports
    assert exports[name]() == 4
    assert getattr(exports, name)() == 4
    assert list(exports) == [name]


def test_export_called_like_a_special_method_does_no_harm() -> None:
    exports = instantiate(
        '(module (func (export "__class__")) (func (export "__iter__")) (func (export "__len__")))'
    ).exports
    assert len(exports) == 3
    assert callable(exports["__class__"])


def test_dir_lists_the_exports() -> None:
    assert "add" in dir(instantiate('(module (func (export "add")))').exports)


def test_functions_show_name_signature_and_type() -> None:
    exports = instantiate(
        """(module (func (export "add") (param i32 i32) (result i32) i32.const 0)
             (func (export "none")) (func (export "a.b") (param f64)))"""
    ).exports
    assert exports.add.__name__ == "add"
    assert exports.add.__doc__ == "WebAssembly function (i32, i32) -> (i32)."
    assert [str(inspect.signature(f)) for f in exports.values()] == ["(p0, p1, /)", "()", "(p0, /)"]


def test_repr_names_the_module() -> None:
    text = '(module $shapes (func (export "f")))'
    assert repr(instantiate(text)) == "<Instance of 'shapes': 1 exports>"
    assert repr(instantiate(text).exports) == "<exports: f>"


def test_instance_knows_its_module() -> None:
    module = module_of("(module)")
    assert Instance(module).module is module


# Segments.


def test_active_segments_are_placed() -> None:
    exports = instantiate(
        """(module (memory (export "m") 1)
             (data (i32.const 2) "abc") (data (i32.const 4) "X")
             (table (export "t") 4 funcref) (elem (i32.const 1) $f $f)
             (func $f (export "f")))"""
    ).exports
    assert exports.m.read(0, 6) == b"\0\0abX\0"
    assert list(exports.t) == [None, exports.f, exports.f, None]


def test_segment_offsets_may_come_from_an_imported_global() -> None:
    exports = instantiate(
        """(module (import "m" "at" (global $at i32)) (memory (export "m") 1)
             (data (i32.add (global.get $at) (i32.const 1)) "x"))""",
        {"m": {"at": 10}},
    ).exports
    assert exports.m[11] == ord("x")


def test_offset_is_unsigned() -> None:
    with pytest.raises(Trap, match="out of bounds memory access"):
        instantiate('(module (memory 1) (data (i32.const -1) "x"))')


def test_empty_segment_must_still_lie_within() -> None:
    instantiate('(module (memory 1) (data (i32.const 65536) ""))')
    with pytest.raises(Trap):
        instantiate('(module (memory 1) (data (i32.const 65537) ""))')
    instantiate("(module (table 1 funcref) (elem (i32.const 1)))")
    with pytest.raises(Trap, match="out of bounds table access"):
        instantiate("(module (table 1 funcref) (elem (i32.const 2)))")


def test_earlier_segments_stay_when_a_later_one_does_not_fit() -> None:
    memory, table = Memory(1), Table("funcref", 3)
    with pytest.raises(Trap, match="out of bounds memory access"):
        instantiate(
            """(module (import "m" "m" (memory 1)) (import "m" "t" (table 3 funcref))
                 (func $f (result i32) i32.const 5)
                 (elem (i32.const 0) $f) (elem (i32.const 2) $f)
                 (data (i32.const 0) "first") (data (i32.const 65534) "abc")
                 (data (i32.const 100) "never"))""",
            {"m": {"m": memory, "t": table}},
        )
    assert memory.read(0, 5) == b"first"
    assert memory.read(PAGE - 2, 2) == b"\0\0"
    assert memory.read(100, 5) == bytes(5)
    assert table[0]() == 5  # type: ignore[operator]
    assert table[0] is table[2]


def test_element_segments_come_before_data_segments() -> None:
    memory = Memory(1)
    with pytest.raises(Trap, match="out of bounds table access"):
        instantiate(
            """(module (import "m" "m" (memory 1)) (table 1 funcref) (func $f)
                 (data (i32.const 0) "x") (elem (i32.const 1) $f))""",
            {"m": {"m": memory}},
        )
    assert memory[0] == 0


def test_passive_segments_are_used_by_code_and_dropped() -> None:
    exports = instantiate(
        """(module (memory (export "m") 1) (table (export "t") 2 funcref)
             (data $d "hello") (elem $e func $f $f) (elem $g funcref (ref.null func) (ref.func $f))
             (func $f (export "f"))
             (func (export "init") (param i32 i32 i32)
               local.get 0 local.get 1 local.get 2 memory.init $d)
             (func (export "drop") data.drop $d elem.drop $e)
             (func (export "tables") i32.const 0 i32.const 0 i32.const 2 table.init $e)
             (func (export "nulls") i32.const 0 i32.const 0 i32.const 2 table.init $g))"""
    ).exports
    exports.init(10, 1, 3)
    assert exports.m.read(10, 4) == b"ell\0"
    exports.nulls()
    assert list(exports.t) == [None, exports.f]
    exports.tables()
    assert list(exports.t) == [exports.f, exports.f]
    exports.drop()
    for call in (lambda: exports.init(0, 0, 1), exports.tables):
        with pytest.raises(Trap, match="out of bounds"):
            call()


def test_active_segments_are_dropped_after_use() -> None:
    exports = instantiate(
        """(module (memory 1) (data $d (i32.const 0) "x")
             (func (export "init") (param i32)
               i32.const 0 i32.const 0 local.get 0 memory.init $d))"""
    ).exports
    exports.init(0)
    with pytest.raises(Trap, match="out of bounds memory access"):
        exports.init(1)


# The start function.


def test_start_function_runs_last() -> None:
    seen: list[int] = []
    instantiate(
        """(module (import "m" "see" (func $see (param i32))) (memory 1) (data (i32.const 0) "*")
             (func $start i32.const 0 i32.load8_u call $see) (start $start))""",
        {"m": {"see": seen.append}},
    )
    assert seen == [ord("*")]


def test_imported_function_can_be_the_start_function() -> None:
    seen: list[str] = []
    instantiate(
        '(module (import "m" "f" (func $f)) (start $f))', {"m": {"f": lambda: seen.append("x")}}
    )
    assert seen == ["x"]


def test_trap_in_the_start_function_is_raised() -> None:
    with pytest.raises(Trap, match="unreachable"):
        instantiate("(module (func $f unreachable) (start $f))")


def test_exception_in_the_start_function_is_the_same_object() -> None:
    error = KeyError("mine")

    def fail() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        instantiate('(module (import "m" "f" (func $f)) (start $f))', {"m": {"f": fail}})
    assert caught.value is error


def test_what_a_failed_start_put_into_a_table_stays_callable() -> None:
    table = Table("funcref", 1)
    with pytest.raises(Trap):
        instantiate(
            """(module (import "m" "t" (table 1 funcref)) (memory 1) (data (i32.const 8) "\\2a")
                 (func $f (result i32) i32.const 8 i32.load8_u)
                 (elem (i32.const 0) $f)
                 (func $start unreachable) (start $start))""",
            {"m": {"t": table}},
        )
    assert table[0]() == 42  # type: ignore[operator]


# References.


def test_ref_func_gives_the_exported_function() -> None:
    library = instantiate('(module (func (export "f")))').exports
    exports = instantiate(
        """(module (import "m" "f" (func $imported)) (import "m" "h" (func $host))
             (func $own (export "own")) (elem declare func $own $imported $host)
             (export "host" (func $host))
             (func (export "get") (result funcref funcref funcref)
               ref.func $own ref.func $imported ref.func $host))""",
        {"m": {"f": library.f, "h": lambda: None}},
    ).exports
    own, imported, host = exports.get()
    assert own is exports.own
    assert imported is library.f
    assert host is exports.host


def test_externref_passes_objects_through() -> None:
    exports = instantiate(
        """(module (func (export "id") (param externref) (result externref) local.get 0)
             (func (export "null") (param externref) (result i32) local.get 0 ref.is_null))"""
    ).exports
    for value in (object(), 0, "", (), 10**30, exports):
        assert exports.id(value) is value
        assert exports.null(value) == 0
    assert exports.id(None) is None
    assert exports.null(None) == 1


def test_funcref_arguments_must_be_exported_functions() -> None:
    exports = instantiate(
        '(module (func (export "id") (param funcref) (result funcref) local.get 0))'
    ).exports
    assert exports.id(exports.id) is exports.id
    assert exports.id(None) is None
    for bad in (print, lambda: None, 5, object()):
        with pytest.raises(TypeError):
            exports.id(bad)


def test_typed_function_references_are_checked() -> None:
    exports = instantiate(
        """(module (type $t (func (result i32)))
             (func (export "f") (type $t) i32.const 6) (func (export "g"))
             (func (export "call") (param (ref null $t)) (result i32)
               local.get 0 call_ref $t)
             (func (export "strict") (param (ref $t)) (result i32) local.get 0 call_ref $t))"""
    ).exports
    assert exports.call(exports.f) == 6
    assert exports.strict(exports.f) == 6
    with pytest.raises(Trap, match="null function reference"):
        exports.call(None)
    with pytest.raises(TypeError):
        exports.call(exports.g)
    with pytest.raises(TypeError, match="None"):
        exports.strict(None)


def test_host_functions_get_and_give_references() -> None:
    value = object()
    seen: list[object] = []

    def host(a: object, f: object) -> tuple[object, object]:
        seen.extend((a, f))
        return f, a

    exports = instantiate(
        """(module (import "m" "h" (func $h (param externref funcref) (result funcref externref)))
             (func (export "call") (param externref funcref) (result funcref externref)
               local.get 0 local.get 1 call $h))""",
        {"m": {"h": host}},
    ).exports
    assert exports.call(value, exports.call) == (exports.call, value)
    assert seen == [value, exports.call]


# What cannot leave the process.


def _sealed() -> dict[str, Any]:
    instance = instantiate('(module (func (export "f")))')
    return {
        "Instance": instance,
        "Exports": instance.exports,
        "Memory": Memory(1),
        "Table": Table("funcref", 1),
        "Global": Global("i32"),
        "Tag": Tag(),
    }


@pytest.mark.parametrize("kind", ["Instance", "Exports", "Memory", "Table", "Global", "Tag"])
@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_objects_over_native_memory_refuse_to_be_copied(kind: str, way: Any) -> None:
    with pytest.raises(TypeError, match=f"cannot pickle or copy '{kind}' object"):
        way(_sealed()[kind])


def test_exported_function_refuses_to_be_pickled() -> None:
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(instantiate('(module (func (export "f")))').exports.f)


def test_instantiation_raises_an_audit_event() -> None:
    events: list[tuple[Any, ...]] = []
    active = True

    def hook(name: str, args: tuple[Any, ...]) -> None:
        if active and name == "jitwasm.instantiate":
            events.append(args)

    sys.addaudithook(hook)
    module, imports = module_of("(module)"), {"a": {}}
    Instance(module, imports)
    active = False
    assert len(events) == 1
    assert events[0][0] is module
    assert events[0][1] is imports


@pytest.mark.parametrize("tier", ["auto", "baseline", "optimized"])
def test_instances_that_are_alive_may_be_limited(tier: str) -> None:
    config = Config(limits=ImplementationLimits(instances=2), tier=tier)
    module = module_of('(module (memory 1) (func (export "f") (result i32) i32.const 1))', config)
    other = module_of('(module (func (export "g")))', config)
    first, second = Instance(module), Instance(module)
    with pytest.raises(MemoryError, match="2 instances of the module are alive"):
        Instance(module)
    assert Instance(other) and Instance(other)  # each module has its own count
    function = second.exports.f
    del second
    with pytest.raises(MemoryError):  # a function keeps its instance alive
        Instance(module)
    del function
    assert Instance(module).exports.f() == first.exports.f() == 1
