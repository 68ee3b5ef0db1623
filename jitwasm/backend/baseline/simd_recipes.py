"""The table of vector recipes (their notation: simd.py)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


__all__ = ["recipes"]

_NOT: Final = "; ones t; pxor d d t"
_LANES: Final = (("i8x16", "b"), ("i16x8", "w"), ("i32x4", "d"), ("i64x2", "q"))
_FLOATS: Final = (("f32x4", "ps", "d", 10, 31), ("f64x2", "pd", "q", 13, 63))

_RECIPES: Final[dict[str, str]] = {
    "v128.not": "ones t; pxor d x t",
    "v128.and": "pand d x y",
    "v128.andnot": "pandn d y x",
    "v128.or": "por d x y",
    "v128.xor": "pxor d x y",
    "v128.bitselect": "pand t x z; pandn d z y; por d d t",
    "i8x16.swizzle": "load t 70; paddusb t y t; pshufb d x t",
    "i8x16.relaxed_swizzle": "pshufb d x y",
    "i16x8.mul": "pmullw d x y",
    "i32x4.mul": "pmulld d x y",
    "i64x2.mul": (
        "psrlq t x 32; pmuludq t t y; psrlq u y 32; pmuludq u u x; paddq t t u; psllq t t 32; "
        "pmuludq d x y; paddq d d t"
    ),
    "i8x16.abs": "pabsb d x",
    "i16x8.abs": "pabsw d x",
    "i32x4.abs": "pabsd d x",
    "i64x2.abs": "zero t; pcmpgtq t t x; pxor d x t; psubq d d t",
    "i8x16.popcnt": (
        "load t 0f; pand d x t; psrlw u x 4; pand u u t; "
        "load t 00010102010202030102020302030304; pshufb d t d; pshufb u t u; paddb d d u"
    ),
    "i8x16.avgr_u": "pavgb d x y",
    "i16x8.avgr_u": "pavgw d x y",
    "i8x16.narrow_i16x8_s": "packsswb d x y",
    "i8x16.narrow_i16x8_u": "packuswb d x y",
    "i16x8.narrow_i32x4_s": "packssdw d x y",
    "i16x8.narrow_i32x4_u": "packusdw d x y",
    "i16x8.extadd_pairwise_i8x16_s": "load t 01; pmaddubsw d t x",
    "i16x8.extadd_pairwise_i8x16_u": "load t 01; pmaddubsw d x t",
    "i32x4.extadd_pairwise_i16x8_s": "load t 0100; pmaddwd d x t",
    "i32x4.extadd_pairwise_i16x8_u": "psrld t x 16; pslld d x 16; psrld d d 16; paddd d d t",
    "i32x4.dot_i16x8_s": "pmaddwd d x y",
    "i16x8.q15mulr_sat_s": "pmulhrsw d x y; load t 0080; pcmpeqw t t d; pxor d d t",
    "i16x8.relaxed_q15mulr_s": "pmulhrsw d x y",
    "i16x8.relaxed_dot_i8x16_i7x16_s": "pmaddubsw d y x",
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": (
        "pmaddubsw d y x; load t 0100; pmaddwd d d t; paddd d d z"
    ),
    "f32x4.convert_i32x4_s": "cvtdq2ps d x",
    "f32x4.convert_i32x4_u": (
        "load t ffff0000; pand t x t; cvtdq2ps t t; psrld d x 16; cvtdq2ps d d; "
        "load u 00008047; mulps d d u; addps d d t"
    ),
    "f64x2.convert_low_i32x4_s": "cvtdq2pd d x",
    "f64x2.convert_low_i32x4_u": (
        "load t 00003043; punpckldq d x t; load t 0000000000003043; subpd d d t"
    ),
    "f32x4.demote_f64x2_zero": "cvtpd2ps d x",
    "f64x2.promote_low_f32x4": "cvtps2pd d x",
    "i32x4.trunc_sat_f32x4_s": (
        "cmpps t x x 0; andps d x t; load u 0000004f; cmpps t u x 2; cvttps2dq d d; pxor d d t"
    ),
    "i32x4.trunc_sat_f32x4_u": (
        "zero t; maxps d x t; load t 0000004f; subps u d t; cmpps t t u 2; cvttps2dq u u; "
        "pxor u u t; zero t; pmaxsd u u t; cvttps2dq d d; paddd d d u"
    ),
    "i32x4.trunc_sat_f64x2_s_zero": (
        "cmppd t x x 0; load u 0000c0ffffffdf41; andps t t u; minpd d x t; cvttpd2dq d d"
    ),
    "i32x4.trunc_sat_f64x2_u_zero": (
        "zero t; maxpd d x t; load u 0000e0ffffffef41; minpd d d u; roundpd d d 11; "
        "load u 0000000000003043; addpd d d u; shufps d d t 0x88"
    ),
    "i32x4.relaxed_trunc_f32x4_s": "cvttps2dq d x",
    "i32x4.relaxed_trunc_f64x2_s_zero": "cvttpd2dq d x",
}


def _integers() -> dict[str, str]:
    rows: dict[str, str] = {}
    for shape, lane in _LANES:
        rows[f"{shape}.add"] = f"padd{lane} d x y"
        rows[f"{shape}.sub"] = f"psub{lane} d x y"
        rows[f"{shape}.neg"] = f"zero t; psub{lane} d t x"
        rows[f"{shape}.eq"] = f"pcmpeq{lane} d x y"
        rows[f"{shape}.ne"] = f"pcmpeq{lane} d x y" + _NOT
        rows[f"{shape}.gt_s"] = f"pcmpgt{lane} d x y"
        rows[f"{shape}.lt_s"] = f"pcmpgt{lane} d y x"
        rows[f"{shape}.le_s"] = f"pcmpgt{lane} d x y" + _NOT
        rows[f"{shape}.ge_s"] = f"pcmpgt{lane} d y x" + _NOT
    for shape, lane in _LANES[:3]:
        for sign in "su":
            rows[f"{shape}.min_{sign}"] = f"pmin{sign}{lane} d x y"
            rows[f"{shape}.max_{sign}"] = f"pmax{sign}{lane} d x y"
        rows[f"{shape}.ge_u"] = f"pmaxu{lane} d x y; pcmpeq{lane} d d x"
        rows[f"{shape}.le_u"] = f"pminu{lane} d x y; pcmpeq{lane} d d x"
        rows[f"{shape}.lt_u"] = rows[f"{shape}.ge_u"] + _NOT
        rows[f"{shape}.gt_u"] = rows[f"{shape}.le_u"] + _NOT
    for shape, lane in _LANES[:2]:
        for name in ("add", "sub"):
            rows[f"{shape}.{name}_sat_s"] = f"p{name}s{lane} d x y"
            rows[f"{shape}.{name}_sat_u"] = f"p{name}us{lane} d x y"
    return rows


def _widening() -> dict[str, str]:
    rows: dict[str, str] = {}
    for wide, narrow, lanes, multiply in (
        ("i16x8", "i8x16", "bw", "pmullw"),
        ("i32x4", "i16x8", "wd", "pmulld"),
        ("i64x2", "i32x4", "dq", ""),
    ):
        for sign, move in (("s", "pmovsx"), ("u", "pmovzx")):
            op = move + lanes
            rows[f"{wide}.extend_low_{narrow}_{sign}"] = f"{op} d x"
            rows[f"{wide}.extend_high_{narrow}_{sign}"] = f"psrldq t x 8; {op} d t"
            low, high = f"{wide}.extmul_low_{narrow}_{sign}", f"{wide}.extmul_high_{narrow}_{sign}"
            if multiply:
                rows[low] = f"{op} d x; {op} t y; {multiply} d d t"
                rows[high] = f"psrldq d x 8; psrldq t y 8; {op} d d; {op} t t; {multiply} d d t"
            else:
                wider = "pmuldq" if sign == "s" else "pmuludq"
                rows[low] = f"pshufd d x 0x50; pshufd t y 0x50; {wider} d d t"
                rows[high] = f"pshufd d x 0xFA; pshufd t y 0xFA; {wider} d d t"
    return rows


def _floats() -> dict[str, str]:
    rows: dict[str, str] = {}
    for shape, s, lane, payload, top in _FLOATS:
        for name in ("add", "sub", "mul", "div"):
            rows[f"{shape}.{name}"] = f"{name}{s} d x y"
        rows[f"{shape}.sqrt"] = f"sqrt{s} d x"
        for name, mode in (("nearest", 8), ("floor", 9), ("ceil", 10), ("trunc", 11)):
            rows[f"{shape}.{name}"] = f"round{s} d x {mode}"
        rows[f"{shape}.abs"] = f"ones t; psrl{lane} t t 1; pand d x t"
        rows[f"{shape}.neg"] = f"ones t; psll{lane} t t {top}; pxor d x t"
        for name, predicate in (("eq", 0), ("lt", 1), ("le", 2), ("ne", 4)):
            rows[f"{shape}.{name}"] = f"cmp{s} d x y {predicate}"
        rows[f"{shape}.gt"] = f"cmp{s} d y x 1"
        rows[f"{shape}.ge"] = f"cmp{s} d y x 2"
        # x86 gives the second operand for zeros and NaNs; both ways joined have all the bits.
        quiet = f"psrl{lane} u u {payload}; andnps d u t"
        rows[f"{shape}.min"] = (
            f"min{s} t x y; min{s} u y x; orps t t u; cmp{s} u t t 3; orps t t u; {quiet}"
        )
        rows[f"{shape}.max"] = (
            f"max{s} t x y; max{s} u y x; xorps u u t; orps t t u; sub{s} t t u; "
            f"cmp{s} u t t 3; {quiet}"
        )
        rows[f"{shape}.pmin"] = f"min{s} d y x"
        rows[f"{shape}.pmax"] = f"max{s} d y x"
        rows[f"{shape}.relaxed_madd"] = f"movaps d x; fmadd213{s} d y z"
        rows[f"{shape}.relaxed_nmadd"] = f"movaps d x; fnmadd213{s} d y z"
        rows[f"{shape}.relaxed_min"] = f"min{s} d x y"
        rows[f"{shape}.relaxed_max"] = f"max{s} d x y"
    return rows


def recipes(features: frozenset[str]) -> dict[str, str]:
    """The recipes for a processor with these features, by mnemonic."""
    rows = {**_RECIPES, **_integers(), **_widening(), **_floats()}
    for name in ("trunc_f32x4_u", "trunc_f64x2_u_zero"):
        rows[f"i32x4.relaxed_{name}"] = rows[f"i32x4.{name.replace('trunc', 'trunc_sat')}"]
    for shape, lane in _LANES:
        # By the top bits; where there is one instruction for it, simd.py has that.
        rows[f"{shape}.relaxed_laneselect"] = (
            f"zero t; pcmpgt{lane} t t z; pand u x t; pandn d t y; por d d u"
        )
    if "fma" not in features:
        for shape, s, *_ in _FLOATS:
            rows[f"{shape}.relaxed_madd"] = f"mul{s} d x y; add{s} d d z"
            rows[f"{shape}.relaxed_nmadd"] = f"mul{s} d x y; sub{s} d z d"
    return rows
