"""The official WebAssembly test suite, run through the public API.

    sexpr.py      bytes of a `.wast` script -> forms (S-expressions)
    script.py     forms -> commands
    values.py     constants and patterns of results
    assembler.py  module texts -> binaries (by the test-only assembler)
    runner.py     commands -> passed, failed, counted, against an `Engine`
    adapter.py    the `Engine` of jitwasm: the only file here that knows its API
    peer_adapter.py  the `Engine` of wasmtime, to test the runner itself and for comparison
    test_spec.py  one test for each script; expected_failures.txt lists what may fail

`python -m tests.spec --help` runs scripts without pytest.
"""
