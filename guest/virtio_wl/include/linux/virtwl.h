/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What programs ask of /dev/wl0 and of the files it hands out (VFDs).
 */
#ifndef _LINUX_VIRTWL_H
#define _LINUX_VIRTWL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Most VFDs in one message. */
#define VIRTWL_SEND_MAX_ALLOCS 28

#define VIRTWL_IOCTL_BASE 'w'
#define VIRTWL_IO(nr) _IO(VIRTWL_IOCTL_BASE, nr)
#define VIRTWL_IOR(nr, type) _IOR(VIRTWL_IOCTL_BASE, nr, type)
#define VIRTWL_IOW(nr, type) _IOW(VIRTWL_IOCTL_BASE, nr, type)
#define VIRTWL_IOWR(nr, type) _IOWR(VIRTWL_IOCTL_BASE, nr, type)

enum virtwl_ioctl_new_type {
	VIRTWL_IOCTL_NEW_CTX = 0,	/* connection to the default context */
	VIRTWL_IOCTL_NEW_ALLOC = 1,	/* shared memory of `size` bytes */
	VIRTWL_IOCTL_NEW_PIPE_READ = 2,	/* pipe whose returned end is read */
	VIRTWL_IOCTL_NEW_PIPE_WRITE = 3, /* pipe whose returned end is written */
	VIRTWL_IOCTL_NEW_DMABUF = 4,	/* dmabuf of the geometry given */
	VIRTWL_IOCTL_NEW_CTX_NAMED = 5,	/* connection to the context `name` */
};

struct virtwl_ioctl_new {
	__u32 type;	/* VIRTWL_IOCTL_NEW_* */
	__s32 fd;	/* out: always close-on-exec */
	__u32 flags;	/* 0 */
	union {
		__u32 size;
		struct {
			__u32 width;
			__u32 height;
			__u32 format;	/* DRM fourcc */
			__u32 stride0;	/* out, as all below */
			__u32 stride1;
			__u32 stride2;
			__u32 offset0;
			__u32 offset1;
			__u32 offset2;
		} dmabuf;
		char name[32];	/* NUL-padded */
	};
};

struct virtwl_ioctl_txn {
	__s32 fds[VIRTWL_SEND_MAX_ALLOCS];	/* unused: -1 */
	__u32 len;	/* SEND: bytes of data; RECV: room, then bytes */
	__u8 data[];
};

struct virtwl_ioctl_dmabuf_sync {
	__u32 flags;	/* as for DMA_BUF_IOCTL_SYNC */
};

/* The directions of SEND and RECV are the wrong way round, and stay so. */
#define VIRTWL_IOCTL_NEW VIRTWL_IOWR(0x00, struct virtwl_ioctl_new)
#define VIRTWL_IOCTL_SEND VIRTWL_IOR(0x01, struct virtwl_ioctl_txn)
#define VIRTWL_IOCTL_RECV VIRTWL_IOW(0x02, struct virtwl_ioctl_txn)
#define VIRTWL_IOCTL_DMABUF_SYNC VIRTWL_IOR(0x03, struct virtwl_ioctl_dmabuf_sync)

/*
 * On memory that somebody else has made longer: its size now. From then on
 * mmap(), lseek() and fstat() know of it too; older mappings stay as they are.
 * ENOTTY where the device cannot tell (such as one of another project).
 */
#define VIRTWL_IOCTL_REFRESH VIRTWL_IOR(0x10, __u64)

#endif
