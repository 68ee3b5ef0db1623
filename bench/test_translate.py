"""Function bodies to LLVM IR: validation and emission in one pass, in pure Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.engines import timed
from bench.meter import Meter
from bench.wasmfile import code_size

events = pytest.importorskip("jitwasm.frontend.events", exc_type=ImportError)
stream = pytest.importorskip("jitwasm.frontend.stream", exc_type=ImportError)
translate = pytest.importorskip("jitwasm.frontend.translate", exc_type=ImportError)
configuration = pytest.importorskip("jitwasm.config", exc_type=ImportError)


def test_translate(wasm_file: str, wasm_path: Path, meter: Meter) -> None:
    config = configuration.Config()
    parser = stream.StreamParser(config.features, config.limits)
    found = [*parser.feed(wasm_path.read_bytes()), *parser.finish()]
    info = next(event.info for event in found if isinstance(event, events.CodeStart))
    bodies = [event for event in found if isinstance(event, events.FunctionBody)]

    def work() -> int:
        translator = translate.Translator(info, config)
        return sum(len(translator.translate(body).text) for body in bodies)

    text = work()
    size = code_size(wasm_path)
    meter.group(
        "translate", Path(wasm_file).stem, "jitwasm", code_size=size, text_per_byte=text / size
    )
    meter.measure(lambda: timed(work), most=10)
