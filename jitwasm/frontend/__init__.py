"""From bytes to LLVM IR, in the order of processing:

    stream       cuts the bytes, in whatever portions they come, into sections and bodies
    sections     section payload -> ModuleInfo, with all validation outside of function bodies
                 (typesection, constexpr: its two larger parts; names: the lenient name section)
    translate    function body -> FunctionIR: decodes, validates and emits in one pass
                 (opcodes: the table; immediates, stacks, validate: its parts; emit: the IR)

What they share: leb128 and reader read bytes; events and moduleinfo are the data that flows.
Pure functions of the bytes and the configuration: no ctypes, no threads, no LLVM.
"""
