"""Conversions from floats that trap: exactly the values that do not fit."""

from __future__ import annotations

import math

import pytest

import jitwasm
from tests.support.wat import wat

# conversion -> (value, result) at both ends
FITS: dict[str, list[tuple[float, int]]] = {
    "i32.trunc_f64_s": [(-2147483648.9, -(1 << 31)), (2147483647.9, (1 << 31) - 1), (-0.0, 0)],
    "i32.trunc_f32_s": [(-(2.0**31), -(1 << 31)), (2147483520.0, 2147483520), (-0.9, 0)],
    "i64.trunc_f64_s": [(-(2.0**63), -(1 << 63)), (2.0**63 - 1024, (1 << 63) - 1024)],
    "i64.trunc_f32_s": [(-(2.0**63), -(1 << 63)), (2.0**62, 1 << 62)],
    "i32.trunc_f64_u": [(-0.9999999999999999, 0), (4294967295.9, -1), (-0.0, 0)],
    "i32.trunc_f32_u": [(-0.99999994, 0), (4294967040.0, -256), (0.0, 0)],
    "i64.trunc_f64_u": [(-0.5, 0), (2.0**64 - 2048, -2048), (2.0**63, -(1 << 63))],
    "i64.trunc_f32_u": [(-0.5, 0), (2.0**63, -(1 << 63))],
}
OVERFLOWS = {
    "i32.trunc_f64_s": [-2147483649.0, 2147483648.0],
    "i32.trunc_f32_s": [-2147483904.0, 2147483648.0],
    "i64.trunc_f64_s": [-9223372036854777856.0, 2.0**63],
    "i64.trunc_f32_s": [-9223373136366403584.0, 2.0**63],
    "i32.trunc_f64_u": [-1.0, 4294967296.0],
    "i32.trunc_f32_u": [-1.0, 4294967296.0],
    "i64.trunc_f64_u": [-1.0, 2.0**64],
    "i64.trunc_f32_u": [-1.0, 2.0**64],
}


@pytest.fixture(scope="module", params=[0, 2])
def exports(request: pytest.FixtureRequest) -> jitwasm.Instance:
    functions = "".join(
        f'(func (export "{name}") (param {name[10:13]}) (result {name[:3]})'
        f" ({name} (local.get 0)))\n"
        for name in FITS
    )
    config = jitwasm.Config(opt_level=request.param, tier="optimized")
    return jitwasm.Instance(jitwasm.Module(wat(f"(module {functions})"), config))


@pytest.mark.parametrize("name", FITS)
def test_what_fits_is_converted(exports: jitwasm.Instance, name: str) -> None:
    for value, result in FITS[name]:
        assert exports.exports[name](value) == result


@pytest.mark.parametrize("name", FITS)
def test_what_does_not_fit_traps(exports: jitwasm.Instance, name: str) -> None:
    for value in [*OVERFLOWS[name], math.inf, -math.inf]:
        with pytest.raises(jitwasm.Trap, match="integer overflow"):
            exports.exports[name](value)
    with pytest.raises(jitwasm.Trap, match="invalid conversion to integer"):
        exports.exports[name](math.nan)
