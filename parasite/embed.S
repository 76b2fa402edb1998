/* SPDX-License-Identifier: Apache-2.0 */
/* The linked blob and stub, as bytes (embedded.cc). */
	.section .rodata
	.globl bpfckpt_blob_begin, bpfckpt_blob_end, bpfckpt_stub_begin, bpfckpt_stub_end
	.balign	16
bpfckpt_blob_begin:
	.incbin	"blob.bin"
bpfckpt_blob_end:
	.balign	16
bpfckpt_stub_begin:
	.incbin	"stub.elf"
bpfckpt_stub_end:
	.section .note.GNU-stack, "", %progbits
