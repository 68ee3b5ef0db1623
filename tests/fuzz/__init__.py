"""Fuzzing: generated and mutated modules against wasmtime, bytes against the decoder.

    python -m tests.fuzz run DIR          modules on every tier and on wasmtime, until stopped
    python -m tests.fuzz bytes DIR        mutated bytes through the decoder and the validator
    python -m tests.fuzz check FILE       one module again
    python -m tests.fuzz reduce FILE      make a finding small
    python -m tests.fuzz hostile          modules that are hard to compile: time and memory

docs/contributing.md tells more.
"""
