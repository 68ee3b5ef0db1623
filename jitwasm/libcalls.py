"""The runtime's helpers that compiled code calls: one table of names and LLVM signatures.

The frontend declares from this table, the backend supplies the bodies (native code, no Python);
a test checks that every row has one. Lengths and indices are i64, zero-extended by the caller
where the memory or table is indexed by i32. All but `jw_trap` return normally or trap.
"""

from __future__ import annotations

__all__ = ["LIBCALLS", "declaration"]

#     name                    result  parameters (LLVM types)                       attributes
LIBCALLS: dict[str, tuple[str, str, str]] = {
    "jw_trap": ("void", "i32", "cold noreturn"),  # TrapCode
    "jw_memory_grow": ("i64", "ptr, i64", ""),  # record, pages -> old pages or -1
    "jw_memory_copy": ("void", "ptr, ptr, i64, i64, i64", ""),  # to, from, dst, src, bytes
    "jw_memory_fill": ("void", "ptr, i64, i32, i64", ""),  # record, dst, byte, bytes
    "jw_memory_init": ("void", "ptr, ptr, i64, i64, i64", ""),  # record, segment, dst, src, bytes
    "jw_table_grow": ("i64", "ptr, i64, ptr", ""),  # record, elements, value -> old or -1
    "jw_table_copy": ("void", "ptr, ptr, i64, i64, i64", ""),  # to, from, dst, src, elements
    "jw_table_fill": ("void", "ptr, i64, ptr, i64", ""),  # record, dst, value, elements
    "jw_table_init": ("void", "ptr, ptr, i64, i64, i64", ""),  # record, segment, dst, src, count
}


def declaration(name: str) -> str:
    """The LLVM declaration of a helper."""
    result, params, attributes = LIBCALLS[name]
    return f"declare {result} @{name}({params}) {attributes}".rstrip()
