/* SPDX-License-Identifier: Apache-2.0 */
	.section .text.start, "ax"
	.globl _start
_start:
	mov	%rsp, %rdi
	xor	%ebp, %ebp
	and	$-16, %rsp
	call	bpfckpt_stub
	ud2
	.section .note.GNU-stack, "", @progbits
