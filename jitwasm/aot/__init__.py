"""Compile-only: objects that C programs link, without jitwasm at run time.

naming   wasm names as C symbols: one rule
capi     wasm types as C types; how C passes and returns them
layout   where everything of an instance lies in its one allocation
glue     LLVM IR of instantiation, exports, imports and accessors
runtime  LLVM IR of the small runtime: memory, traps, signal handler; no libc
header   the C header
emit     a module -> LLVM module -> object, assembly, archive, shared library
"""
