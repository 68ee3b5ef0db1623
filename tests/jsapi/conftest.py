"""The mark by which tests are counted."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "jsapi: the counterpart of subtests of test/js-api")
