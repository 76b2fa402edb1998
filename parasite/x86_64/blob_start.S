/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blob's first bytes. Entered with
 *   r12            the slot, an address in the target
 *   rdi, rsi, rdx  the part of the area to mprotect() first, and how; rdi 0: nothing. The area is mapped read and
 *                  execute by the one remote call of an injection; a mapping that is writable and executable at any
 *                  time would be refused under PR_SET_MDWE.
 *   rbp, r13, r14, r15  sigreturn frame, gate_home, length and base of the area: the way home if that fails (the
 *                  split needs one more VMA than the target may have).
 */
	.section .text.start, "ax"
	.globl _start
_start:
	jmp	1f
	.balign	8
	.quad	0x31306b6366706221	/* kMagic at kMagicOffset */
1:	cld
	test	%rdi, %rdi
	jz	2f
	mov	$10, %eax		/* mprotect */
	syscall
	test	%rax, %rax
	jnz	3f
2:	mov	104(%r12), %rsp		/* Slot::stack_top, checked in blob.cc */
	mov	%r12, %rdi
	call	bpfckpt_interpret
	ud2
3:	mov	%rbp, %rsp
	jmp	*%r13
	.section .note.GNU-stack, "", @progbits
