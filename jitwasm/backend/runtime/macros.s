# Macros of all assembly files.

.macro function name
.globl \name
.p2align 4
.type \name,@function
\name:
.endm
