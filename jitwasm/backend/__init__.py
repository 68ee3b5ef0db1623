"""From LLVM IR text to machine code that runs.

    units.py      functions' IR -> the text of one LLVM module
    codegen.py    text -> ELF object, a pure function (passes.py: what runs at each level)
    llvm.py       the only module that knows llvmlite
    scheduler.py  many units at once, in background threads
    elf/loader.py objects -> a code image in executable memory

Nothing here knows the frontend: the two meet as plain data (`jitwasm.ir`).
"""
