# Entering wasm code, and coming back by a trap.
#
# jw_enter is one half of a setjmp. A thunk calls it like the wasm function itself, with the
# activation as a hidden argument in %r10; it notes the callee-saved registers and the return
# address and jumps to the function. So the function returns to the thunk. A trap does the same:
# jw_jump restores what was noted. For the compiler it is an ordinary call that returns exactly once,
# one way or the other; Activation.code says which.
#
# jw_trap is called by compiled code: it notes the registers of its caller, for the backtrace. The
# call is the last instruction of its function, maybe, so what is noted lies inside of it.
#
# jw_exchange and jw_interrupt serve the signal handlers.

.macro save registers
movq %rbx, (\registers)
movq %rbp, 8(\registers)
movq %r12, 16(\registers)
movq %r13, 24(\registers)
movq %r14, 32(\registers)
movq %r15, 40(\registers)
.endm

.macro restore registers
movq (\registers), %rbx
movq 8(\registers), %rbp
movq 16(\registers), %r12
movq 24(\registers), %r13
movq 32(\registers), %r14
movq 40(\registers), %r15
.endm

.text

# Activation in %r10, its `pc` is the function to call.
function jw_enter
save %r10
leaq 8(%rsp), %r11
movq %r11, <registers.rsp>(%r10)
movq (%rsp), %r11
movq %r11, <registers.rip>(%r10)
jmpq *<Activation.pc>(%r10)

# The same for any function type, as an ordinary function: the argument registers come from a frame
# (%rdi), and results go there. Activation in %rsi.
function jw_enter_frame
pushq %rbx
movq %rdi, %rbx
movq %rsi, %r10
movq <frame.env>(%rbx), %rdi
movq <frame.ints>(%rbx), %rsi
movq <frame.ints>+8(%rbx), %rdx
movq <frame.ints>+16(%rbx), %rcx
movq <frame.ints>+24(%rbx), %r8
movq <frame.ints>+32(%rbx), %r9
movaps <frame.floats>(%rbx), %xmm0
movaps <frame.floats>+16(%rbx), %xmm1
movaps <frame.floats>+32(%rbx), %xmm2
movaps <frame.floats>+48(%rbx), %xmm3
movaps <frame.floats>+64(%rbx), %xmm4
movaps <frame.floats>+80(%rbx), %xmm5
movaps <frame.floats>+96(%rbx), %xmm6
movaps <frame.floats>+112(%rbx), %xmm7
callq jw_enter
movq %rax, <frame.ints>(%rbx)
movq %rdx, <frame.ints>+8(%rbx)
movq %rcx, <frame.ints>+16(%rbx)
movaps %xmm0, <frame.floats>(%rbx)
movaps %xmm1, <frame.floats>+16(%rbx)
popq %rbx
ret

# Activation in %rdi.
function jw_jump
restore %rdi
movq <registers.rsp>(%rdi), %rsp
jmpq *<registers.rip>(%rdi)

# TrapCode in %edi.
function jw_trap
subq $72, %rsp
save %rsp
leaq 80(%rsp), %rax
movq %rax, <registers.rsp>(%rsp)
movq 72(%rsp), %rax
decq %rax
movq %rax, <registers.rip>(%rsp)
movl %edi, %edi
movq %rsp, %rsi
callq jw_raise

# In a signal handler: the interrupted context (%rsi) gets the registers of the activation (%rdi),
# its own ones go to %rdx.
.macro exchange at context
movq \context(%rsi), %rax
movq %rax, \at(%rdx)
movq \at(%rdi), %rax
movq %rax, \context(%rsi)
.endm

function jw_exchange
exchange 0 <context.rbx>
exchange 8 <context.rbp>
exchange 16 <context.r12>
exchange 24 <context.r13>
exchange 32 <context.r14>
exchange 40 <context.r15>
exchange 48 <context.rsp>
exchange 56 <context.rip>
ret

# Between two instructions of wasm code: where to go on lies below the red zone, at (%rsp). Every
# register is saved, since the code may be using it: the mask is x87, SSE, AVX, AVX-512, PKRU and the
# sixteen more registers of APX. xsave wants the area's header zeroed.
function jw_interrupt
pushfq
pushq %rbp
movq %rsp, %rbp
pushq %rax
pushq %rbx
pushq %rcx
pushq %rdx
pushq %rsi
pushq %rdi
pushq %r8
pushq %r9
pushq %r10
pushq %r11
movq %rsp, %rbx
subq $4096, %rsp
andq $-64, %rsp
xorl %eax, %eax
movq %rax, 512(%rsp)
movq %rax, 520(%rsp)
movq %rax, 528(%rsp)
movq %rax, 536(%rsp)
movq %rax, 544(%rsp)
movq %rax, 552(%rsp)
movq %rax, 560(%rsp)
movq %rax, 568(%rsp)
movl $0x800e7, %eax
xorl %edx, %edx
xsave (%rsp)
cld
callq jw_interrupted
movl $0x800e7, %eax
xorl %edx, %edx
xrstor (%rsp)
movq %rbx, %rsp
popq %r11
popq %r10
popq %r9
popq %r8
popq %rdi
popq %rsi
popq %rdx
popq %rcx
popq %rbx
popq %rax
popq %rbp
popfq
retq $128
