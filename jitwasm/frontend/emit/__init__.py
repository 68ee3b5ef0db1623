"""From WebAssembly instructions to LLVM IR, one module for each chapter of the specification.

A *fast* handler is `handler(f, pos, row) -> pos`: it reads its immediates at `pos` itself, finds
what its instruction needs in `row`, and gives the position of the next instruction. A *plain*
handler is `handler(f, imms)`, with the immediates already read, for the rarer instructions.
Either validates (stacks.py, validate.py) and emits in one go. `dispatch` puts all of them into one
list and refuses to import if an instruction of the table has no handler.
"""
