"""A module inside an object: the section `.jitwasm`, from which `jitwasm.load` makes a `Module`.

    "jitwasm\\0" | format, u32 | size of the description, u32 | SHA-256 of what follows
    description (JSON) | the module's bytes | the objects of its functions, one after the other

The objects are those of the JIT, so nothing is compiled when it is loaded. The section is not part
of what a program maps into memory. Nothing in it is executed or unpickled before the digest, the
versions and the processor have been checked; but it is machine code, so load only what you trust.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from jitwasm.abi import ABI_VERSION
from jitwasm.backend import llvm
from jitwasm.backend.codegen import TargetSpec
from jitwasm.config import Config, Features
from jitwasm.errors import LoadError
from jitwasm.version import __version__

__all__ = ["SECTION", "add_section", "find_section", "pack_module", "unpack_module"]

SECTION = ".jitwasm"
_MAGIC = b"jitwasm\0"
_FORMAT = 1
_HEAD = struct.Struct("<8sII32s")
_ELF = struct.Struct("<16sHHIQQQIHHHHHH")
_ROW = struct.Struct("<IIQQQQIIQQ")
_SHT_PROGBITS, _SHT_NOBITS = 1, 8

_LEVELS = (
    ("x86-64", ""),
    ("x86-64-v2", "cx16 sahf popcnt sse3 sse4.1 sse4.2 ssse3"),
    ("x86-64-v3", "avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave"),
    ("x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
)
"""The levels of the System V ABI, and what each adds to the one before."""


def pack_module(data: bytes, objects: Sequence[bytes], config: Config, spec: TargetSpec) -> bytes:
    """The contents of the section."""
    description = {
        "jitwasm": __version__,
        "abi": ABI_VERSION,
        "llvm": llvm.version(),
        "triple": spec.triple,
        "cpu": spec.cpu,
        "features": [f for f in spec.features.split(",") if f],
        "config": {
            "features": asdict(config.features),
            "opt_level": spec.opt_level,
            "strict": config.strict,
            "bounds": config.bounds,
            "portable_ir": config.portable_ir,
        },
        "module": len(data),
        "objects": [len(o) for o in objects],
    }
    text = json.dumps(description, sort_keys=True, separators=(",", ":")).encode()
    body = b"".join([text, data, *objects])
    return _HEAD.pack(_MAGIC, _FORMAT, len(text), hashlib.sha256(body).digest()) + body


def unpack_module(section: bytes) -> tuple[bytes, tuple[bytes, ...], Config]:
    """The module's bytes, its objects, and the configuration it was compiled with.

    Raises:
        LoadError: it is damaged, or was made for another version or processor.
    """
    if len(section) < _HEAD.size:
        raise LoadError("the file is damaged: its section .jitwasm is too short")
    magic, version, size, digest = _HEAD.unpack_from(section)
    if magic != _MAGIC:
        raise LoadError("the file is damaged: its section .jitwasm does not begin as it should")
    if version != _FORMAT:
        raise LoadError(
            f"the file has format {version} of another jitwasm; this one reads format {_FORMAT}"
        )
    body = section[_HEAD.size :]
    if hashlib.sha256(body).digest() != digest:
        raise LoadError("the file is damaged: the digest of its section .jitwasm differs")
    try:
        description = json.loads(body[:size])
        _check_version(description)
        _check_processor(description)
        sizes = [description["module"], *description["objects"]]
        config = _config(description["config"])
        if not all(isinstance(n, int) and n >= 0 for n in sizes):
            raise ValueError("sizes")
        if size + sum(sizes) != len(body):
            raise ValueError("sizes")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise LoadError(f"the file's description makes no sense: {error!r}") from None
    pieces, at = [], size
    for length in sizes:
        pieces.append(body[at : at + length])
        at += length
    return pieces[0], tuple(pieces[1:]), config


def _config(rows: dict[str, Any]) -> Config:
    return Config(**{**rows, "features": Features(**rows["features"])})


def _check_version(description: dict[str, Any]) -> None:
    made, abi = description["jitwasm"], description["abi"]
    if (made, abi) != (__version__, ABI_VERSION):
        raise LoadError(
            f"the file was made by jitwasm {made} (ABI {abi}); "
            f"this is jitwasm {__version__} (ABI {ABI_VERSION}): compile it again"
        )


def _check_processor(description: dict[str, Any]) -> None:
    """Whether this machine can run the code."""
    if description["triple"] != llvm.TRIPLE:
        raise LoadError(f"the file is for {description['triple']}, this machine is {llvm.TRIPLE}")
    host, listed = llvm.host_cpu()
    has = {f[1:] for f in listed.split(",") if f.startswith("+")}
    cpu = description["cpu"]
    needs = {f[1:] for f in description["features"] if f.startswith("+")}
    levels = [name for name, _ in _LEVELS]
    if cpu in levels:
        for _, features in _LEVELS[: levels.index(cpu) + 1]:
            needs.update(features.split())
    elif cpu != host:
        raise LoadError(f"the file is for processor {cpu}, this machine's is {host}")
    if needs - has:
        raise LoadError(
            f"the file needs processor features that this machine lacks: "
            f"{', '.join(sorted(needs - has))}"
        )


# The section in ELF files.


def add_section(data: bytes, contents: bytes) -> bytes:
    """A relocatable object with one more section, which is not loaded."""
    header = list(_ELF.unpack_from(data))
    table, count, names = header[6], header[12], header[13]
    rows = [list(_ROW.unpack_from(data, table + _ROW.size * i)) for i in range(count)]
    strings = data[rows[names][4] : rows[names][4] + rows[names][5]]
    out = bytearray(data)

    def append(text: bytes) -> int:
        out.extend(bytes(-len(out) % 16))
        out.extend(text)
        return len(out) - len(text)

    at = append(contents)
    rows.append([len(strings), _SHT_PROGBITS, 0, 0, at, len(contents), 0, 0, 16, 0])
    strings += SECTION.encode() + b"\0"
    rows[names][4], rows[names][5] = append(strings), len(strings)
    header[6] = append(b"".join(_ROW.pack(*row) for row in rows))
    header[12] += 1
    _ELF.pack_into(out, 0, *header)
    return bytes(out)


def find_section(data: bytes) -> bytes:
    """The contents of the section, in an object, a shared library or a program.

    Raises:
        LoadError: the file is no ELF file for x86-64, is cut off, or has no such section.
    """
    try:
        if data[:6] != b"\x7fELF\2\1":
            raise LoadError("the file is no ELF file of 64 bits")
        header = _ELF.unpack_from(data)
        table, width, count, names = header[6], header[11], header[12], header[13]
        if header[2] != 62 or width != _ROW.size:
            raise LoadError("the file is for another machine than x86-64")
        rows = [_ROW.unpack_from(data, table + width * i) for i in range(count)]
        strings = rows[names][4]
        for row in rows:
            start = strings + row[0]
            name = data[start : data.index(b"\0", start)]
            if name == SECTION.encode() and row[1] != _SHT_NOBITS:
                contents = data[row[4] : row[4] + row[5]]
                if len(contents) != row[5]:
                    raise LoadError("the file is damaged: it has been cut off")
                return contents
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise LoadError(f"the file is damaged: {error}") from None
    raise LoadError("the file has no section .jitwasm: it was compiled without --loadable")
