/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Shared anonymous memory, memfd, and the like on hugetlbfs: files of the kernel's internal mounts. */
#ifndef BPFCKPT_KINDS_SHMEM_H
#define BPFCKPT_KINDS_SHMEM_H

#include <linux/types.h>

struct shmem_record {
	__u32 seals;		/* F_SEAL_* */
	__u32 huge_page_shift;	/* hugetlb: log2 of the page size; else 0 */
};

#endif
