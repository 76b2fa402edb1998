/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: one system call made on our behalf in a target that has no code of ours yet, and the way home from it
 * that needs nobody. It is written into the tail of the target's vDSO and runs with rsp at an rt_sigreturn frame, so
 * that whatever instant bpfckpt dies at, the thread ends in rt_sigreturn(2) with the registers it had.
 *
 *   call       rax, rdi, rsi, rdx, r10, r8, r9: the system call. Then waits to be stopped by ptrace, rbx pointing to
 *              GateScratch; or, where a seccomp filter may forbid waiting, rbx 0, r13 times around a loop.
 *   home       unmaps r14 bytes at r15; r14 0: nothing. After a call r15 is its result: a failed mmap()'s is no page
 *              address and munmap() refuses it.
 *   sigreturn
 *
 * rt_sigtimedwait(2) is used to wait because it leaves the thread's restart_block alone, as poll(2), nanosleep(2)
 * and futex(2) with a timeout do not.
 */
	.section .rodata.gate, "a"
	.globl bpfckpt_gate_begin, bpfckpt_gate_after_call, bpfckpt_gate_home, bpfckpt_gate_sigreturn, bpfckpt_gate_end
bpfckpt_gate_begin:
	syscall
bpfckpt_gate_after_call:
	mov	%rax, %r15
	test	%rbx, %rbx
	jz	1f
	mov	%rbx, %rdi
	xor	%esi, %esi
	lea	8(%rbx), %rdx
	mov	$8, %r10d
	mov	$128, %eax		/* rt_sigtimedwait(no signal, no siginfo, timeout, 8) */
	syscall
	jmp	bpfckpt_gate_home
1:	pause
	dec	%r13
	jnz	1b
bpfckpt_gate_home:
	test	%r14, %r14
	jz	bpfckpt_gate_sigreturn
	mov	%r15, %rdi
	mov	%r14, %rsi
	mov	$11, %eax		/* munmap */
	syscall
bpfckpt_gate_sigreturn:
	mov	$15, %eax		/* rt_sigreturn */
	syscall
	.ascii	"!bpfck01"		/* kMagic: tells a gate from any other code, whoever placed it */
bpfckpt_gate_end:
	.section .note.GNU-stack, "", @progbits
