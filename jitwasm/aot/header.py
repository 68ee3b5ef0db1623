"""The C header of a compiled module."""

from __future__ import annotations

from jitwasm.abi import ABI_VERSION
from jitwasm.aot.capi import PADDING, c_type
from jitwasm.aot.glue import import_members
from jitwasm.aot.naming import export_symbol, import_symbol
from jitwasm.aot.targets import Target
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.trapcodes import TrapCode
from jitwasm.types import DefType, FuncType, GlobalType, MemoryType, TableType

__all__ = ["header"]

_COMMON = f"""\
#ifndef JITWASM_ABI
#define JITWASM_ABI {ABI_VERSION}

/* A linear memory. `data` never moves; `size` is in bytes and only grows. */
typedef struct jw_memory {{
    uint8_t *data;
    uint64_t size, maximum, reserved, page_shift;
}} jw_memory;

/* A table. `elements` never moves; `size` only grows. */
typedef struct jw_table {{
    void **elements;
    uint64_t size, maximum, reserved;
}} jw_table;

typedef void *jw_ref; /* a reference, opaque */
typedef int64_t jw_v128 __attribute__((vector_size(16)));

/* Called, if defined, where a trap happens, before the export returns. */
#ifdef __cplusplus
extern "C"
#endif
void jw_trap_hook(int32_t code);

/* What `prefix_trap` and the `error` of `prefix_instantiate` mean; -1: out of memory,
 * -2: an import is missing or too small. */
static inline const char *jw_trap_message(int32_t code) {{
    switch (code) {{
    case -2: return "an import is missing or too small";
    case -1: return "out of memory";
    case 0: return "no trap";
{{messages}}
    default: return "unknown trap";
    }}
}}
#elif JITWASM_ABI != {ABI_VERSION}
#error "headers of different jitwasm ABI versions cannot be mixed"
#endif
"""


def header(info: ModuleInfo, prefix: str, table: bool, target: Target) -> str:
    """The text of `prefix.h`.

    Args:
        info: the module.
        prefix: of all symbols.
        table: whether functions are imported through `prefix_imports`.
        target: the machine, on whose rules the layout of structures depends.
    """
    guard = f"{prefix.upper()}_H"
    messages = "\n".join(f'    case {int(c)}: return "{c.message}";' for c in TrapCode)
    lines = [
        f"/* {prefix}: a WebAssembly module compiled by jitwasm. Generated; do not edit. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <stdint.h>",
        "",
        _COMMON.replace("{messages}", messages),
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"typedef struct {prefix}_instance {prefix}_instance;",
        "",
        *_structures(info, prefix, target),
        *_imports(info, prefix, table),
        *_makers(info, prefix, table),
        *_interface(prefix),
        *_exports(info, prefix),
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _structures(info: ModuleInfo, prefix: str, target: Target) -> list[str]:
    """A structure for each list of several results."""
    lines, seen = [], set()
    for type_ in (*(d.comp for d in info.functions),):
        if isinstance(type_, FuncType) and len(type_.results) > 1:
            name = _result_type(type_, prefix)
            if name not in seen:
                seen.add(name)
                fields = " ".join(f"{c_type(t)} r{i};" for i, t in enumerate(type_.results))
                if not target.is_host:
                    fields += f" char padding[{PADDING}];"
                lines += [f"typedef struct {{ {fields} }} {name};", ""]
    return lines


def _result_type(type_: FuncType, prefix: str) -> str:
    if not type_.results:
        return "void"
    if len(type_.results) == 1:
        return c_type(type_.results[0])
    return f"{prefix}_" + "_".join(t.name if not t.is_ref else "ref" for t in type_.results)


def _prototype(symbol: str, type_: FuncType, prefix: str, first: str) -> str:
    params = [first, *(f"{c_type(t)} a{i}" for i, t in enumerate(type_.params))]
    return f"{_result_type(type_, prefix)} {symbol}({', '.join(params)})"


def _imports(info: ModuleInfo, prefix: str, table: bool) -> list[str]:
    functions = [i for i in info.imports if isinstance(i.desc, DefType)]
    lines = []
    if functions and not table:
        lines.append("/* Define these; `host` is what was given at instantiation. */")
        for wanted in functions:
            assert isinstance(wanted.desc, DefType)
            assert isinstance(wanted.desc.comp, FuncType)
            symbol = import_symbol(prefix, wanted.module, wanted.name)
            lines.append(_prototype(symbol, wanted.desc.comp, prefix, "void *host") + ";")
        lines.append("")
    lines.append(f"typedef struct {prefix}_imports {{")
    members = import_members(info, prefix, table)
    for member in members:
        desc = info.imports[member.index].desc
        if isinstance(desc, DefType):
            assert isinstance(desc.comp, FuncType)
            pointer = _prototype(f"(*{member.name})", desc.comp, prefix, "void *host")
            lines.append(f"    {pointer};")
        elif isinstance(desc, MemoryType):
            lines.append(f"    jw_memory *{member.name};")
        elif isinstance(desc, TableType):
            lines.append(f"    jw_table *{member.name};")
        elif isinstance(desc, GlobalType):
            lines.append(f"    {c_type(desc.value)} *{member.name};")
        else:
            lines.append(f"    void *{member.name};")
    if not members:
        lines.append("    char nothing;")
    return [*lines, f"}} {prefix}_imports;", ""]


def _makers(info: ModuleInfo, prefix: str, table: bool) -> list[str]:
    lines = []
    for member in import_members(info, prefix, table):
        desc = info.imports[member.index].desc
        if isinstance(desc, MemoryType | TableType):
            type_ = "jw_memory" if isinstance(desc, MemoryType) else "jw_table"
            lines += [
                f"/* Make a {type_[3:]} that fits this import, or NULL; it may serve several. */",
                f"{type_} *{prefix}_new_{member.name}(void);",
                f"void {prefix}_free_{member.name}({type_} *{type_[3:]});",
            ]
    return [*lines, ""] if lines else []


def _interface(prefix: str) -> list[str]:
    return [
        "/* Make an instance, or give NULL and say why in *error (may be NULL).",
        " * `imports` may be NULL if the structure has no members. */",
        f"{prefix}_instance *{prefix}_instantiate(const {prefix}_imports *imports, void *host, "
        "int32_t *error);",
        f"void {prefix}_free({prefix}_instance *instance);",
        "/* 0 if the last call of an export returned, else why it trapped. */",
        f"int32_t {prefix}_trap(const {prefix}_instance *instance);",
        "",
    ]


def _exports(info: ModuleInfo, prefix: str) -> list[str]:
    lines = ["/* Exports. */"]
    first = f"{prefix}_instance *instance"
    for export in info.exports:
        symbol = export_symbol(prefix, export.name)
        if export.kind == "function":
            type_ = info.func_type(export.index)
            lines.append(_prototype(symbol, type_, prefix, first) + ";")
        elif export.kind == "memory":
            lines.append(f"jw_memory *{symbol}({first});")
        elif export.kind == "table":
            lines.append(f"jw_table *{symbol}({first});")
        elif isinstance(export.type, GlobalType):
            const = "" if export.type.mutable else "const "
            lines.append(f"{const}{c_type(export.type.value)} *{symbol}({first});")
        else:
            lines.append(f"void *{symbol}({first});")
    return [*lines, ""]
