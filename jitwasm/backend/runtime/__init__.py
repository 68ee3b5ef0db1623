"""The native runtime's own code: LLVM IR (`*.ll`) and assembly (`*.s`), in parts.

    core         state threads stores traps signals sampling parking ticks entry.s
    conversions  conversions of values, also those that emitted code leaves to it; values
    calls        calls of any function type in both directions, and of C functions
    memories     access to linear memory from Python
    libcalls     the helpers of jitwasm.libcalls
    wasm.s       memcpy and relatives, in the arena's wasm part

assemble.py makes their texts: see irtext.py for the macros in them. They are compiled to two
objects when the package is built: prebuilt.py.
"""
