"""ONE table of x86-64 encodings, in the notation of Intel's manual.

A row gives an instruction's name here, its encoding, the mnemonic a disassembler shows and which
operands are byte registers: r the first, m the second.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["ENCODINGS"]


def _pairs(names: str) -> Iterator[tuple[str, int]]:
    words = names.split()
    return zip(words[::2], (int(word, 16) for word in words[1::2]), strict=True)


ENCODINGS: list[tuple[str, str, str, str]] = [
    # Integers
    *(
        row
        for name, code, digit in (
            ("add", 0x03, 0),
            ("or", 0x0B, 1),
            ("and", 0x23, 4),
            ("sub", 0x2B, 5),
            ("xor", 0x33, 6),
            ("cmp", 0x3B, 7),
        )
        for row in (
            (f"{name}32", f"{code:02X} /r", name, ""),
            (f"{name}64", f"REX.W {code:02X} /r", name, ""),
            (f"{name}32i", f"81 /{digit} id", name, ""),
            (f"{name}64i", f"REX.W 81 /{digit} id", name, ""),
        )
    ),
    ("imul32", "0F AF /r", "imul", ""),
    ("imul64", "REX.W 0F AF /r", "imul", ""),
    ("imul32i", "69 /r id", "imul", ""),
    ("imul64i", "REX.W 69 /r id", "imul", ""),
    ("test32", "85 /r", "test", ""),
    ("test64", "REX.W 85 /r", "test", ""),
    *(
        row
        for name, digit in (("not", 2), ("neg", 3), ("div", 6), ("idiv", 7))
        for row in (
            (f"{name}32", f"F7 /{digit}", name, ""),
            (f"{name}64", f"REX.W F7 /{digit}", name, ""),
        )
    ),
    *(
        row
        for name, digit in (("rol", 0), ("ror", 1), ("shl", 4), ("shr", 5), ("sar", 7))
        for row in (
            (f"{name}32i", f"C1 /{digit} ib", name, ""),
            (f"{name}64i", f"REX.W C1 /{digit} ib", name, ""),
            (f"{name}32c", f"D3 /{digit}", name, ""),
            (f"{name}64c", f"REX.W D3 /{digit}", name, ""),
        )
    ),
    *(
        row
        for name, pp in (("shlx", "66"), ("sarx", "F3"), ("shrx", "F2"))
        for row in (
            (f"{name}32", f"VEX.128.{pp}.0F38.W0 F7 /r", name, ""),
            (f"{name}64", f"VEX.128.{pp}.0F38.W1 F7 /r", name, ""),
        )
    ),
    *(
        row
        for name, code in (("lzcnt", 0xBD), ("tzcnt", 0xBC), ("popcnt", 0xB8))
        for row in (
            (f"{name}32", f"F3 0F {code:02X} /r", name, ""),
            (f"{name}64", f"F3 REX.W 0F {code:02X} /r", name, ""),
        )
    ),
    ("bsr32", "0F BD /r", "bsr", ""),
    ("bsr64", "REX.W 0F BD /r", "bsr", ""),
    ("bsf32", "0F BC /r", "bsf", ""),
    ("bsf64", "REX.W 0F BC /r", "bsf", ""),
    ("mov32", "8B /r", "mov", ""),
    ("mov64", "REX.W 8B /r", "mov", ""),
    ("store32", "89 /r", "mov", ""),
    ("store64", "REX.W 89 /r", "mov", ""),
    ("store16", "66 89 /r", "mov", ""),
    ("store8", "88 /r", "mov", "rm"),
    ("store32i", "C7 /0 id", "mov", ""),
    ("store64i", "REX.W C7 /0 id", "mov", ""),
    ("store16i", "66 C7 /0 iw", "mov", ""),
    ("store8i", "C6 /0 ib", "mov", "m"),
    ("movzx8", "0F B6 /r", "movzx", "m"),
    ("movzx16", "0F B7 /r", "movzx", ""),
    ("movsx8_32", "0F BE /r", "movsx", "m"),
    ("movsx8_64", "REX.W 0F BE /r", "movsx", "m"),
    ("movsx16_32", "0F BF /r", "movsx", ""),
    ("movsx16_64", "REX.W 0F BF /r", "movsx", ""),
    ("movsxd", "REX.W 63 /r", "movsxd", ""),
    ("lea32", "8D /r", "lea", ""),
    ("lea64", "REX.W 8D /r", "lea", ""),
    ("xchg64", "REX.W 87 /r", "xchg", ""),
    ("push", "FF /6", "push", ""),
    ("pop", "8F /0", "pop", ""),
    ("call", "FF /2", "call", ""),
    ("jmp", "FF /4", "jmp", ""),
    *(
        row
        for cc, name in enumerate("o no b ae e ne be a s ns p np l ge le g".split())
        for row in (
            (f"set{cc}", f"0F {0x90 + cc:02X} /0", f"set{name}", "m"),
            (f"cmov32_{cc}", f"0F {0x40 + cc:02X} /r", f"cmov{name}", ""),
            (f"cmov64_{cc}", f"REX.W 0F {0x40 + cc:02X} /r", f"cmov{name}", ""),
        )
    ),
    # Floats and vectors
    ("load_f32", "VEX.128.F3.0F.W0 10 /r", "vmovss", ""),
    ("store_f32", "VEX.128.F3.0F.W0 11 /r", "vmovss", ""),
    ("load_f64", "VEX.128.F2.0F.W0 10 /r", "vmovsd", ""),
    ("store_f64", "VEX.128.F2.0F.W0 11 /r", "vmovsd", ""),
    ("load_v128", "VEX.128.NP.0F.W0 10 /r", "vmovups", ""),
    ("store_v128", "VEX.128.NP.0F.W0 11 /r", "vmovups", ""),
    ("movaps", "VEX.128.NP.0F.W0 28 /r", "vmovaps", ""),
    ("movd_to", "VEX.128.66.0F.W0 6E /r", "vmovd", ""),
    ("movq_to", "VEX.128.66.0F.W1 6E /r", "vmovq", ""),
    ("movd_from", "VEX.128.66.0F.W0 7E /r", "vmovd", ""),
    ("movq_from", "VEX.128.66.0F.W1 7E /r", "vmovq", ""),
    *(
        row
        for name, code in (
            ("add", 0x58),
            ("mul", 0x59),
            ("sub", 0x5C),
            ("min", 0x5D),
            ("div", 0x5E),
            ("max", 0x5F),
            ("sqrt", 0x51),
        )
        for row in (
            (f"{name}ss", f"VEX.128.F3.0F.W0 {code:02X} /r", f"v{name}ss", ""),
            (f"{name}sd", f"VEX.128.F2.0F.W0 {code:02X} /r", f"v{name}sd", ""),
            (f"{name}ps", f"VEX.128.NP.0F.W0 {code:02X} /r", f"v{name}ps", ""),
            (f"{name}pd", f"VEX.128.66.0F.W0 {code:02X} /r", f"v{name}pd", ""),
        )
    ),
    ("ucomiss", "VEX.128.NP.0F.W0 2E /r", "vucomiss", ""),
    ("ucomisd", "VEX.128.66.0F.W0 2E /r", "vucomisd", ""),
    ("cmpss", "VEX.128.F3.0F.W0 C2 /r ib", "vcmpss", ""),
    ("cmpsd", "VEX.128.F2.0F.W0 C2 /r ib", "vcmpsd", ""),
    ("cvtsi2ss32", "VEX.128.F3.0F.W0 2A /r", "vcvtsi2ss", ""),
    ("cvtsi2ss64", "VEX.128.F3.0F.W1 2A /r", "vcvtsi2ss", ""),
    ("cvtsi2sd32", "VEX.128.F2.0F.W0 2A /r", "vcvtsi2sd", ""),
    ("cvtsi2sd64", "VEX.128.F2.0F.W1 2A /r", "vcvtsi2sd", ""),
    ("cvttss2si", "VEX.128.F3.0F.W1 2C /r", "vcvttss2si", ""),
    ("cvttsd2si", "VEX.128.F2.0F.W1 2C /r", "vcvttsd2si", ""),
    ("cvtss2sd", "VEX.128.F3.0F.W0 5A /r", "vcvtss2sd", ""),
    ("cvtsd2ss", "VEX.128.F2.0F.W0 5A /r", "vcvtsd2ss", ""),
    ("roundss", "VEX.128.66.0F3A.W0 0A /r ib", "vroundss", ""),
    ("roundsd", "VEX.128.66.0F3A.W0 0B /r ib", "vroundsd", ""),
    ("andps", "VEX.128.NP.0F.W0 54 /r", "vandps", ""),
    ("andnps", "VEX.128.NP.0F.W0 55 /r", "vandnps", ""),
    ("orps", "VEX.128.NP.0F.W0 56 /r", "vorps", ""),
    ("xorps", "VEX.128.NP.0F.W0 57 /r", "vxorps", ""),
    ("pcmpeqd", "VEX.128.66.0F.W0 76 /r", "vpcmpeqd", ""),
    *(
        (name, f"VEX.128.66.{where}.W0 {code:02X} /r", f"v{name}", "")
        for where, names in (
            (
                "0F",
                "paddb FC paddw FD paddd FE paddq D4 psubb F8 psubw F9 psubd FA psubq FB paddsb EC "
                "paddsw ED paddusb DC paddusw DD psubsb E8 psubsw E9 psubusb D8 psubusw D9 "
                "pmullw D5 pmuludq F4 pmaddwd F5 pminsw EA pminub DA pmaxsw EE pmaxub DE pavgb E0 "
                "pavgw E3 pcmpeqb 74 pcmpeqw 75 pcmpgtb 64 pcmpgtw 65 pcmpgtd 66 pand DB pandn DF "
                "por EB pxor EF packsswb 63 packuswb 67 packssdw 6B punpcklbw 60 punpckldq 62 "
                "punpcklqdq 6C punpckhbw 68 psllw F1 pslld F2 psllq F3 psraw E1 psrad E2 psrlw D1 "
                "psrld D2 psrlq D3 pmovmskb D7 movmskpd 50 cvttpd2dq E6 cvtpd2ps 5A",
            ),
            (
                "0F38",
                "pmulld 40 pmuldq 28 pmaddubsw 04 pmulhrsw 0B pminsb 38 pminsd 39 pminuw 3A "
                "pminud 3B pmaxsb 3C pmaxsd 3D pmaxuw 3E pmaxud 3F pabsb 1C pabsw 1D pabsd 1E "
                "pcmpeqq 29 pcmpgtq 37 packusdw 2B pshufb 00 pmovsxbw 20 pmovsxwd 23 pmovsxdq 25 "
                "pmovzxbw 30 pmovzxwd 33 pmovzxdq 35 ptest 17 pbroadcastb 78 pbroadcastw 79 "
                "pbroadcastd 58 pbroadcastq 59",
            ),
        )
        for name, code in _pairs(names)
    ),
    ("movmskps", "VEX.128.NP.0F.W0 50 /r", "vmovmskps", ""),
    ("cvtdq2ps", "VEX.128.NP.0F.W0 5B /r", "vcvtdq2ps", ""),
    ("cvtdq2pd", "VEX.128.F3.0F.W0 E6 /r", "vcvtdq2pd", ""),
    ("cvttps2dq", "VEX.128.F3.0F.W0 5B /r", "vcvttps2dq", ""),
    ("cvtps2pd", "VEX.128.NP.0F.W0 5A /r", "vcvtps2pd", ""),
    ("pshufd", "VEX.128.66.0F.W0 70 /r ib", "vpshufd", ""),
    ("pshuflw", "VEX.128.F2.0F.W0 70 /r ib", "vpshuflw", ""),
    ("shufps", "VEX.128.NP.0F.W0 C6 /r ib", "vshufps", ""),
    ("cmpps", "VEX.128.NP.0F.W0 C2 /r ib", "vcmpps", ""),
    ("cmppd", "VEX.128.66.0F.W0 C2 /r ib", "vcmppd", ""),
    ("roundps", "VEX.128.66.0F3A.W0 08 /r ib", "vroundps", ""),
    ("roundpd", "VEX.128.66.0F3A.W0 09 /r ib", "vroundpd", ""),
    ("insertps", "VEX.128.66.0F3A.W0 21 /r ib", "vinsertps", ""),
    ("pinsrb", "VEX.128.66.0F3A.W0 20 /r ib", "vpinsrb", ""),
    ("pinsrw", "VEX.128.66.0F.W0 C4 /r ib", "vpinsrw", ""),
    ("pinsrd", "VEX.128.66.0F3A.W0 22 /r ib", "vpinsrd", ""),
    ("pinsrq", "VEX.128.66.0F3A.W1 22 /r ib", "vpinsrq", ""),
    ("pextrb", "VEX.128.66.0F3A.W0 14 /r ib", "vpextrb", ""),
    ("pextrw", "VEX.128.66.0F3A.W0 15 /r ib", "vpextrw", ""),
    ("pextrd", "VEX.128.66.0F3A.W0 16 /r ib", "vpextrd", ""),
    ("pextrq", "VEX.128.66.0F3A.W1 16 /r ib", "vpextrq", ""),
    ("fmadd213ps", "VEX.128.66.0F38.W0 A8 /r", "vfmadd213ps", ""),
    ("fmadd213pd", "VEX.128.66.0F38.W1 A8 /r", "vfmadd213pd", ""),
    ("fnmadd213ps", "VEX.128.66.0F38.W0 AC /r", "vfnmadd213ps", ""),
    ("fnmadd213pd", "VEX.128.66.0F38.W1 AC /r", "vfnmadd213pd", ""),
    ("blendvps", "VEX.128.66.0F3A.W0 4A /r ib", "vblendvps", ""),
    ("blendvpd", "VEX.128.66.0F3A.W0 4B /r ib", "vblendvpd", ""),
    ("pblendvb", "VEX.128.66.0F3A.W0 4C /r ib", "vpblendvb", ""),
    *(
        (f"{name}i", f"VEX.128.66.0F.W0 {code:02X} /{digit} ib", f"v{name}", "")
        for name, code, digit in (
            ("psrlw", 0x71, 2),
            ("psraw", 0x71, 4),
            ("psllw", 0x71, 6),
            ("psrld", 0x72, 2),
            ("psrad", 0x72, 4),
            ("pslld", 0x72, 6),
            ("psrlq", 0x73, 2),
            ("psllq", 0x73, 6),
            ("psrldq", 0x73, 3),
            ("pslldq", 0x73, 7),
        )
    ),
]
