# memcpy, memmove and memset for wasm code.
#
# LLVM may turn a loop of accesses to linear memory into a call of one of these. A fault in there
# must be a trap like any other, so they lie in the arena's wasm part.

.text

function memcpy
movq %rdi, %rax
movq %rdx, %rcx
rep movsb
ret

function memmove
movq %rdi, %rax
subq %rsi, %rax
cmpq %rdx, %rax
movq %rdi, %rax
movq %rdx, %rcx
jb 1f
rep movsb
ret
1:
leaq -1(%rsi,%rdx), %rsi
leaq -1(%rdi,%rdx), %rdi
std
rep movsb
cld
ret

function memset
movq %rdi, %r8
movl %esi, %eax
movq %rdx, %rcx
rep stosb
movq %r8, %rax
ret
