"""Instances (specification: Execution, "Modules", Instantiation; JS API: `Instance`)."""

from __future__ import annotations

import ctypes
import functools
import operator
import sys

from jitwasm.abi import MEMORY32_MOST
from jitwasm.backend.native import HostFunctions, NativeRuntime, native
from jitwasm.block import Block, write_word
from jitwasm.blueprint import blueprint_of
from jitwasm.cfunctions import CFunction
from jitwasm.collector import collect_if_due
from jitwasm.config import MAX_FUEL
from jitwasm.constants import evaluate
from jitwasm.errors import Trap
from jitwasm.exports import Exporter, Exports
from jitwasm.frontend.moduleinfo import DataSegment, ElementSegment, Export
from jitwasm.func import function_at
from jitwasm.globals import Global, GlobalCell
from jitwasm.linker import (
    Linkage,
    Object,
    Value,
    carries_references,
    exporter_of,
    join,
    lets_references_through,
    resolve,
    store_of,
)
from jitwasm.memory import Memory
from jitwasm.module import CompiledModule
from jitwasm.segments import ElementPlan
from jitwasm.store import Hold, Store, merge_all
from jitwasm.table import Table
from jitwasm.tag import Tag
from jitwasm.trapcodes import TrapCode
from jitwasm.types import I32, GlobalType
from jitwasm.values import from_ref, to_ref
from jitwasm.vmctx import ImportedFunction, VMContext, wasm_import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Instance"]


class Instance(Exporter):
    """A module brought to life: its own memories, tables and globals, linked to its imports.

    Args:
        module: the compiled module.
        imports: `{"module": {"name": value}}`; both levels may also be objects with attributes. A
            function import takes any callable, a ctypes function pointer (called directly), or an
            exported function (called directly); others take a `Memory`, `Table`, `Global` or
            `Tag`, and an immutable global also a plain value.

    Raises:
        LinkError: imports are missing or do not match; the message lists all of them.
        Trap: a segment does not fit, or the start function trapped.
        TypeError: an argument is of the wrong kind.

    Attributes:
        exports: what the module exports, by attribute or item.
    """

    __slots__ = ("__weakref__", "_hold", "module")

    module: CompiledModule

    def __init__(self, module: CompiledModule, imports: object = None) -> None:
        # 1. The module is valid: there is no other kind of CompiledModule.
        if not isinstance(module, CompiledModule):
            raise TypeError(f"module must be a Module, not {type(module).__name__}")
        sys.audit("jitwasm.instantiate", module, imports)
        # 2. to 4. As many external values as imports, each matching.
        linkage = resolve(module.info, imports)
        self.module = module
        store = _join_stores(linkage)
        # From here on this is one entry into the store, as a call is: other threads wait.
        runtime, door = _runtime(), store.door
        runtime.enter_store(door)
        try:
            context = _allocate(_fitting(module, linkage), linkage, store)
            self._hold = hold = context.hold(store)
            blueprint, make = context.blueprint, functools.partial(_export, hold)
            self._exports = Exports(blueprint.exports, make, blueprint.hiding)
            _announce(context, linkage)
            _initialise(context)
        finally:
            runtime.leave_store(door)
        root = store.root()
        if root.members:
            root.expect_members()
        if root.is_collection_due:
            collect_if_due(store)

    @property
    def fuel(self) -> int | None:
        """Units of fuel that this instance has left; None if its module is not charged for
        (`Config.fuel`). What other instances execute for it is charged to them."""
        if self.module.config.fuel is None:
            return None
        return self._context.fuel

    def add_fuel(self, units: int) -> None:
        """Give the instance more fuel; a negative number takes some away, down to 0.

        Waits for a call that another thread has open in the same store.

        Raises:
            ValueError: the module is not charged for (`Config.fuel`), or 2^62 would be exceeded.
        """
        if self.module.config.fuel is None:
            raise ValueError("the module was compiled without Config(fuel=...)")
        units = operator.index(units)
        with self._hold.store.entered():
            context = self._context
            total = max(context.fuel + units, 0)
            if total > MAX_FUEL:
                raise ValueError(f"an instance may have 2^62 units of fuel, not {total}")
            context.fuel = total

    def _reset(self) -> None:
        """Be as new: for a pool. What is imported does not change."""
        context, store = self._context, self._hold.store
        with store.entered():
            context.reset()
            if context.blueprint.is_uneven:
                _evaluate_all(context)
            _initialise(context)

    @property
    def _context(self) -> VMContext:
        context = self._hold.member
        assert isinstance(context, VMContext)
        return context

    def __repr__(self) -> str:
        name = f" of {self.module.name!r}" if self.module.name else ""
        return f"<Instance{name}: {len(self.exports)} exports>"


@functools.cache
def _runtime() -> NativeRuntime:
    """The native runtime, told how references are converted and collected."""
    runtime = native()
    runtime.set_hooks(to_ref=to_ref, from_ref=from_ref, idle=collect_if_due)
    return runtime


def _join_stores(linkage: Linkage) -> Store:
    linked = linkage.linked
    if not linked:
        return Store()
    store = merge_all([s for r in linked if (s := store_of(r)) is not None])
    for item in linked:
        join(item, store)
    return store.root()


def _fitting(module: CompiledModule, linkage: Linkage) -> CompiledModule:
    """The module, compiled so that its code may use the memory that it imports."""
    if not linkage.objects:
        return module
    memory = next((item for _, item in linkage.objects if isinstance(item, Memory)), None)
    if memory is None or memory.declared.addr is not I32 or memory.size <= MEMORY32_MOST:
        return module
    declared = module.info.memories[0]
    derives = declared.limits.minimum * declared.page_size <= MEMORY32_MOST
    return module.checked() if derives and module.config.bounds == "guard" else module


def _allocate(module: CompiledModule, linkage: Linkage, store: Store) -> VMContext:
    """Steps 5 to 7: the module instance, with the values of its globals, tables and segments."""
    info, linked = module.info, linkage.linked
    context = VMContext(info, module.config, module.image(), blueprint_of(module))
    module.attach(context)
    context.enter_store(store)
    if any(map(lets_references_through, linked)) or any(map(carries_references, info.tags)):
        # References of either side may come to lie anywhere in the store from now on.
        store.members.add(context)
        store.members |= {c for r in linked if (c := exporter_of(r)) is not None}
    # 5. The auxiliary instance: the imports. Their order is that of each index space.
    if linkage.targets:
        _bind_functions(context, linkage, store)
    for wanted, item in linkage.objects:
        _bind(context, wanted, item, store)
    # 6. and 7. The instances that hold the values of globals, tables and element segments.
    context.reserve()
    for tag_type in info.tags[info.imported_tags :]:
        context.add_tag(Tag._from_type(tag_type))
    if context.blueprint.is_uneven:
        _evaluate_all(context)
    return context


def _evaluate_all(context: VMContext) -> None:
    """Values of globals (each sees those before it) and tables, where instances differ in them."""
    blueprint, info = context.blueprint, context.info
    for globalidx, expression in blueprint.globals:
        context.define_global(globalidx, evaluate(expression, context))
    for tableidx, plan in enumerate(blueprint.tables, info.imported_tables):
        if plan.init is not None and (word := evaluate(plan.init, context)):
            context.table(tableidx).write(0, [word] * plan.shape.size)


def _bind(context: VMContext, wanted: object, item: Object, store: Store) -> None:
    if isinstance(item, Memory):
        context.add_imported_memory(item)
    elif isinstance(item, Table):
        context.add_imported_table(item._core)
    elif isinstance(item, Tag):
        context.add_tag(item)
    else:
        context.add_imported_global(_cell_of(item, wanted, store))


def _bind_functions(context: VMContext, linkage: Linkage, store: Store) -> None:
    types, targets = context.blueprint.host_types, linkage.targets
    runtime, state, overflow = _runtime(), store.state, store.overflow
    others: dict[int, ImportedFunction] = {}
    for index, item in linkage.functions.items():
        if isinstance(item, CFunction):
            code, keep = item.address, item.pointer
            others[index] = runtime.c_function(types.types[index], code, keep, state, overflow)
        else:
            others[index] = wasm_import(item)
    hosts: HostFunctions | None = None
    if len(others) < len(targets):
        calls, slots = context.config.host_calls, context.import_slots
        hosts = runtime.host_functions(types, targets, state, overflow, calls, slots)
    context.set_functions(hosts, others)
    context.publish_funcrefs()


def _cell_of(item: Global | Value, wanted: object, store: Store) -> GlobalCell:
    if isinstance(item, Global):
        return item._cell
    assert isinstance(wanted, GlobalType)
    cell = GlobalCell(wanted)
    cell.bits = item.bits(store)
    cell.join(store)
    return cell


def _announce(context: VMContext, linkage: Linkage) -> None:
    """Tell host functions that ask for it (`__wasm_bind__`) which memory their caller has.

    It is the exported memory "memory", else the first one, else None. WASI needs this.
    """
    if linkage.binders:
        exported = context.blueprint.exports.get("memory")
        index = exported.index if exported is not None and exported.kind == "memory" else 0
        memory = context.memory(index) if context.info.memories else None
        for bind in linkage.binders:
            bind(memory)


def _initialise(context: VMContext) -> None:
    """Steps 8 to 11: segments and the start function, in this order; what is done stays done."""
    info, blueprint = context.info, context.blueprint
    # 9. Element segments.
    for elemidx, segment, plan in blueprint.elements:
        _place_elements(context, elemidx, segment, plan)
    # 10. Data segments.
    if not _place_all_data(context):
        for data in info.data:
            if data.offset is not None:
                _place_data(context, data, evaluate(data.offset, context))
    # 11. The start function.
    if info.start is not None:
        function_at(context.funcref(info.start))()


def _place_elements(
    context: VMContext, elemidx: int, segment: ElementSegment, plan: ElementPlan
) -> None:
    block: Block | None = None
    if segment.offset is None:
        block = Block(8 * plan.count)
        address = block.address
    else:
        base, size = context.table_extent(segment.tableidx)
        start = evaluate(segment.offset, context)
        if start + plan.count > size:
            raise Trap(TrapCode.OUT_OF_BOUNDS_TABLE)
        address = base + 8 * start
    plan.write(address, context.funcrefs)
    for index, item in plan.others:
        word = context.funcref(item) if isinstance(item, int) else evaluate(item, context)
        write_word(address + 8 * index, word)
    if block is not None:
        context.set_elem_segment(elemidx, block, plan.count)


def _place_all_data(context: VMContext) -> bool:
    """Place the active data segments at once, where all of them fit and are at constant places."""
    plans = context.blueprint.data
    if plans is None:
        return False
    if context.has_images:
        return True
    for memidx, plan in plans.items():
        if context.memory_size(memidx) < plan.end:
            return False
    for memidx, plan in plans.items():
        plan.write(context.memory_base(memidx), context.own_range(memidx))
    return True


def _place_data(context: VMContext, data: DataSegment, start: int) -> None:
    if start + len(data.payload) > context.memory_size(data.memidx):
        raise Trap(TrapCode.OUT_OF_BOUNDS_MEMORY)
    ctypes.memmove(context.memory_base(data.memidx) + start, data.payload, len(data.payload))


def _export(hold: Hold, export: Export) -> Any:
    """The object of an export."""
    context = hold.member
    assert isinstance(context, VMContext)
    if export.kind == "function":
        return function_at(context.funcref(export.index))
    if export.kind == "memory":
        return context.memory(export.index)
    if export.kind == "table":
        return context.table(export.index).handle(hold)
    if export.kind == "global":
        return context.global_cell(export.index).handle(hold)
    return context.tags[export.index]
