from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.http import Server, serve
from tests.support.wat import wat

TIMEOUT = 60


@pytest.fixture(scope="session")
def add() -> bytes:
    """A module that exports `add: (i32, i32) -> i32`."""
    return wat(
        '(module (func (export "add") (param i32 i32) (result i32)'
        " local.get 0 local.get 1 i32.add))"
    )


@pytest.fixture(scope="session")
def broken() -> bytes:
    """A module whose function 0 leaves nothing on the stack where an i32 is wanted."""
    return bytes.fromhex("0061736d010000000105016000017f030201000a040102000b")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serve() as server:
        yield server
