"""Arguments that commands share, and what their texts mean."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any

from jitwasm.cli.exitcodes import UsageError
from jitwasm.frontend.moduleinfo import ModuleInfo
from jitwasm.types import DefType, FuncType, ValType

__all__ = ["add_level", "add_world", "call_of", "folder", "positive", "size", "variable"]


def add_world(parser: argparse.ArgumentParser) -> None:
    """What a program may reach."""
    parser.add_argument(
        "--dir",
        action="append",
        default=[],
        metavar="HOST[::GUEST]",
        help="a folder the program may use, and the name it has there",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable of its environment; without VALUE, passed on from here",
    )


def add_level(parser: argparse.ArgumentParser) -> None:
    """The level of optimisation."""
    parser.add_argument(
        "-O",
        dest="level",
        type=int,
        choices=range(4),
        help="0 compiles fastest, 3 runs fastest; by default chosen by the module's size",
    )


def positive(text: str) -> float:
    """A positive number of seconds."""
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number of seconds")
    return float(text)


def size(text: str) -> int:
    """A number of bytes."""
    found = re.fullmatch(r"(\d{1,15})([KMG]?)", text.upper())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 65536, 64K, 64M or 1G")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


def variable(row: str) -> tuple[str, str]:
    """A variable of the environment: its name and value."""
    name, found, value = row.partition("=")
    if not found and name not in os.environ:
        raise UsageError(f"--env {name}: there is no such variable to pass on; NAME=VALUE sets one")
    return name, value if found else os.environ[name]


def folder(row: str) -> tuple[str, str]:
    """A folder: the name a program knows, and its path."""
    host, _, guest = row.partition("::")
    return guest or host, host


def call_of(info: ModuleInfo, name: str, texts: Sequence[str]) -> tuple[FuncType, list[Any]]:
    """The type of an exported function, and a call's arguments as they are typed in.

    Raises:
        UsageError: there is no such function, or its type does not fit.
    """
    types = {row.name: row.type for row in info.exports if row.kind == "function"}
    if name not in types:
        raise UsageError(f"no exported function {name!r}; there is {', '.join(types) or 'none'}")
    type_ = types[name]
    assert isinstance(type_, DefType) and isinstance(type_.comp, FuncType)
    params = type_.comp.params
    if len(texts) != len(params):
        raise UsageError(f"{name} {type_} takes {len(params)} arguments, not {len(texts)}")
    return type_.comp, [_parse(text, param) for text, param in zip(texts, params, strict=True)]


def _parse(text: str, type_: ValType) -> Any:
    """An argument as it is typed: numbers as in Python, floats also hexadecimal."""
    try:
        if type_.is_ref:
            if text == "null":
                return None
            raise ValueError
        if type_.name == "v128":
            return bytes.fromhex(text)
        if not type_.is_float:
            return int(text, 0)
        return float.fromhex(text) if "0x" in text.lower() else float(text)
    except ValueError:
        hint = " (only null can be given)" if type_.is_ref else ""
        raise UsageError(f"{text!r} is no {type_}{hint}") from None
