"""Which subtests of the specification's JavaScript API tests have a counterpart here.

A test says by `@ported("memory/grow")` which file of `test/js-api` it stands for; each of its cases
stands for one subtest, or for `covers` of them. `deviation` names the reason if what Python does
differs; docs/js-api-tests.md lists the reasons. What has no counterpart is in NOT_APPLICABLE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["DEVIATIONS", "NOT_APPLICABLE", "REASONS", "SUBTESTS", "ported"]

SUBTESTS = {
    "constructor/compile": 15,
    "constructor/instantiate": 63,
    "constructor/instantiate-bad-imports": 212,
    "constructor/multi-value": 3,
    "constructor/toStringTag": 4,
    "constructor/validate": 68,
    "exception/basic": 6,
    "exception/constructor": 6,
    "exception/getArg": 5,
    "exception/identity": 1,
    "exception/is": 3,
    "exception/jsTag": 3,
    "exception/toString": 2,
    "gc/casts": 11,
    "gc/default-value": 4,
    "gc/exported-object": 19,
    "gc/i31": 6,
    "global/constructor": 62,
    "global/toString": 2,
    "global/value-get-set": 69,
    "global/valueOf": 2,
    "instance/constructor": 29,
    "instance/constructor-bad-imports": 106,
    "instance/constructor-caching": 1,
    "instance/exports": 4,
    "instance/toString": 2,
    "interface": 72,
    "js-string/basic": 6,
    "js-string/constants": 40,
    "js-string/imports": 1,
    "limits": 143,
    "memory/buffer": 4,
    "memory/constructor": 29,
    "memory/constructor-memory64": 10,
    "memory/constructor-shared": 3,
    "memory/grow": 19,
    "memory/grow-memory64": 8,
    "memory/limits": 3,
    "memory/limits-memory64": 5,
    "memory/toString": 2,
    "module/constructor": 16,
    "module/customSections": 9,
    "module/exports": 11,
    "module/imports": 11,
    "module/toString": 2,
    "table/constructor": 33,
    "table/constructor-memory64": 12,
    "table/get-set": 32,
    "table/get-set-memory64": 9,
    "table/grow": 18,
    "table/grow-memory64": 6,
    "table/length": 4,
    "table/limits": 3,
    "table/limits-memory64": 3,
    "table/toString": 2,
    "tag/constructor": 6,
    "tag/toString": 2,
}
"""Files of test/js-api (without .tentative.any.js) and their subtests."""

REASONS = {
    "no new": "Python has no `new`: a class is called",
    "properties": "property descriptors, prototypes and @@toStringTag are of JavaScript",
    "sloppy": "Python has no sloppy mode",
    "exceptions": "exception handling is not implemented",
    "gc": "garbage-collected types are not implemented",
    "js-string": "the js-string builtins are for JavaScript's strings",
}

NOT_APPLICABLE: dict[str, dict[str, int]] = {
    "constructor/toStringTag": {"properties": 4},
    "exception/basic": {"exceptions": 6},
    "exception/constructor": {"exceptions": 6},
    "exception/getArg": {"exceptions": 5},
    "exception/identity": {"exceptions": 1},
    "exception/is": {"exceptions": 3},
    "exception/jsTag": {"exceptions": 3},
    "exception/toString": {"exceptions": 2},
    "gc/casts": {"gc": 11},
    "gc/default-value": {"gc": 4},
    "gc/exported-object": {"gc": 19},
    "gc/i31": {"gc": 6},
    "js-string/basic": {"js-string": 6},
    "js-string/constants": {"js-string": 40},
    "js-string/imports": {"js-string": 1},
    "global/constructor": {"no new": 1},
    "global/toString": {"properties": 1},
    "instance/constructor": {"no new": 1},
    "instance/exports": {"sloppy": 1},
    "instance/toString": {"properties": 1},
    "interface": {"properties": 17},
    "memory/buffer": {"sloppy": 1},
    "memory/constructor": {"no new": 1},
    "memory/toString": {"properties": 1},
    "module/constructor": {"no new": 1},
    "module/toString": {"properties": 1},
    "table/constructor": {"no new": 1},
    "table/length": {"sloppy": 1},
    "table/toString": {"properties": 1},
    "tag/constructor": {"no new": 1},
    "tag/toString": {"properties": 1},
}
"""File -> reason -> subtests that have no counterpart."""

DEVIATIONS = {
    "arguments": "surplus arguments are a TypeError; options are keywords, not a descriptor object",
    "coercion": "strings, and objects with conversions of other kinds, are not made numbers",
    "bigint": "i32 and i64 are both int",
    "range": "numbers out of range are a ValueError (sizes), IndexError (indices) or OverflowError",
    "namespace": "what is missing among the imports is a LinkError",
    "detach": "an older view of a memory's bytes stays valid, with its old length",
    "undefined": "there is no undefined: None is null, and the default of references",
    "frozen": "assigning to what cannot be assigned to is an AttributeError",
    "sealed": "objects of the API take no further attributes",
    "vectors": "a v128 global can be made and read: it is 16 bytes",
    "names": "exported functions are named as in the module",
    "wrapping": "an integer beyond its type is an OverflowError, not wrapped",
}
"""What differs, by the word that tests name it with."""


def ported(
    file: str, deviation: str | None = None, covers: int = 1
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a test as the counterpart of subtests of a file."""
    assert file in SUBTESTS and (deviation is None or deviation in DEVIATIONS)
    return pytest.mark.jsapi(file=file, deviation=deviation, covers=covers)
