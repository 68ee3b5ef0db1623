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

function jw_host_call
dispatch jw_call_host

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

# The same for a C function with more parameters than fit in registers. The overflow area holds those
# of wasm code's convention in slots of 16 bytes; C wants them in words on the stack, but the first
# integer among them, in slot HostEnv.calls, in its sixth register. HostEnv.scratch: how many slots.
function jw_c_call_far
movq <HostEnv.store>(%rdi), %rax
movq <StoreState.owner>(%rax), %rax
cmpq <ThreadState.stack_limit>(%rax), %rsp
jb 5f
pushq %rbx
pushq %rbp
movq %rsp, %rbp
pushq %r12
movq <ThreadState.top>(%rax), %rbx
movl $1, <Activation.in_host>(%rbx)
movq <HostEnv.scratch>(%rdi), %rax
movq <HostEnv.calls>(%rdi), %r10
movq <HostEnv.target>(%rdi), %r11
movq %rax, %r12
shlq $4, %r12
addq <Env.overflow>(%rdi), %r12
movq %rsi, %rdi
movq %rdx, %rsi
movq %rcx, %rdx
movq %r8, %rcx
movq %r9, %r8
# An odd number of words on the stack needs one more, for its alignment.
xorl %r9d, %r9d
cmpq %rax, %r10
setb %r9b
addl %eax, %r9d
testb $1, %r9b
je 1f
subq $8, %rsp
1:
testq %rax, %rax
je 4f
decq %rax
subq $16, %r12
cmpq %rax, %r10
je 2f
pushq (%r12)
jmp 1b
2:
movq (%r12), %r9
jmp 1b
4:
movl $8, %eax
callq *%r11
leaq -8(%rbp), %rsp
movl $0, <Activation.in_host>(%rbx)
cmpl $0, <Activation.want>(%rbx)
je 3f
subq $32, %rsp
movq %rax, (%rsp)
movups %xmm0, 16(%rsp)
callq jw_back_to_wasm
movq (%rsp), %rax
movups 16(%rsp), %xmm0
addq $32, %rsp
3:
popq %r12
popq %rbp
popq %rbx
ret
5:
movl $<Trap.STACK_OVERFLOW>, %edi
jmp jw_trap
