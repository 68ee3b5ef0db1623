# Calling out of wasm code: called in the wasm calling convention with a HostEnv in %rdi, whatever the
# function type.
#
# jw_host_jump is the code of every Python host function: an indirection, so that what is behind it
# can change while it is linked.

.text

function jw_host_jump
jmpq *<HostEnv.scratch>(%rdi)

# The argument registers go to a frame on the stack, and results come from there.
.macro dispatch function
subq $<frame.size>, %rsp
movq %rdi, <frame.env>(%rsp)
movq %rsi, <frame.ints>(%rsp)
movq %rdx, <frame.ints>+8(%rsp)
movq %rcx, <frame.ints>+16(%rsp)
movq %r8, <frame.ints>+24(%rsp)
movq %r9, <frame.ints>+32(%rsp)
movaps %xmm0, <frame.floats>(%rsp)
movaps %xmm1, <frame.floats>+16(%rsp)
movaps %xmm2, <frame.floats>+32(%rsp)
movaps %xmm3, <frame.floats>+48(%rsp)
movaps %xmm4, <frame.floats>+64(%rsp)
movaps %xmm5, <frame.floats>+80(%rsp)
movaps %xmm6, <frame.floats>+96(%rsp)
movaps %xmm7, <frame.floats>+112(%rsp)
movq %rsp, %rdi
callq \function
movq <frame.ints>(%rsp), %rax
movq <frame.ints>+8(%rsp), %rdx
movq <frame.ints>+16(%rsp), %rcx
movaps <frame.floats>(%rsp), %xmm0
movaps <frame.floats>+16(%rsp), %xmm1
addq $<frame.size>, %rsp
ret
.endm

function jw_host_base
dispatch jw_host_dispatch

function jw_host_ctypes
dispatch jw_ctypes_dispatch

# A C function: HostEnv.target with the other arguments, all of which are in registers. The thread
# is found through the store, which it is inside of: no call for it. A variadic function wants to
# know in %al how many vector registers may be in use.
function jw_c_call
movq <HostEnv.store>(%rdi), %rax
movq <StoreState.owner>(%rax), %rax
cmpq <ThreadState.stack_limit>(%rax), %rsp
jb 1f
pushq %rbx
movq <ThreadState.top>(%rax), %rbx
movl $1, <Activation.in_host>(%rbx)
movq <HostEnv.target>(%rdi), %r11
movq %rsi, %rdi
movq %rdx, %rsi
movq %rcx, %rdx
movq %r8, %rcx
movq %r9, %r8
movl $8, %eax
callq *%r11
movl $0, <Activation.in_host>(%rbx)
cmpl $0, <Activation.want>(%rbx)
jne 2f
popq %rbx
ret
1:
movl $<Trap.STACK_OVERFLOW>, %edi
jmp jw_trap
2:
subq $32, %rsp
movq %rax, (%rsp)
movups %xmm0, 16(%rsp)
callq jw_back_to_wasm
movq (%rsp), %rax
movups 16(%rsp), %xmm0
addq $32, %rsp
popq %rbx
ret

