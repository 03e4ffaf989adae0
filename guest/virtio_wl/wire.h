/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What passes through the queues; see libvirtio-wl/PROTOCOL.md.
 */
#ifndef VIRTIO_WL_WIRE_H
#define VIRTIO_WL_WIRE_H

#include <linux/types.h>

#define WL_VIRTIO_ID		63
#define WL_VIRTIO_ID_LEGACY	30

#define WL_F_TRANS_FLAGS	1
#define WL_F_SEND_FENCES	2
#define WL_F_USE_SHMEM		3
#define WL_F_REFRESH		22
#define WL_F_CREDIT		23

#define WL_SHM_REGION		0
/* `pfn` counts these whatever the size of a page here is. */
#define WL_PFN_SHIFT		12

#define WL_IN_BUFFER		4096
#define WL_MAX_VFDS		28
#define WL_RESP_SIZE		64
#define WL_NAME_SIZE		32

/* Guest ids are 1 to 2047. */
#define WL_GUEST_ID_MIN		1
#define WL_GUEST_ID_MAX		0x7ff
#define WL_HOST_ID_BIT		0x40000000u
#define WL_ILLEGAL_ID_BIT	0x80000000u

/* Flow control: what a received VFD costs, beside a unit per byte. */
#define WL_CREDIT_PER_VFD	1024
/* The first balance; the message that uses it up may be larger than the rest. */
#define WL_CREDIT_INITIAL	(256 * 1024)
/* Given back in pieces of this. */
#define WL_CREDIT_BATCH		(WL_CREDIT_INITIAL / 4)

enum wl_type {
	WL_VFD_NEW = 0x100,
	WL_VFD_CLOSE = 0x101,
	WL_VFD_SEND = 0x102,
	WL_VFD_RECV = 0x103,
	WL_VFD_NEW_CTX = 0x104,
	WL_VFD_NEW_PIPE = 0x105,
	WL_VFD_HUP = 0x106,
	WL_VFD_NEW_DMABUF = 0x107,
	WL_VFD_DMABUF_SYNC = 0x108,
	WL_VFD_NEW_CTX_NAMED = 0x10a,
	WL_VFD_CREDIT = 0x180,
	WL_VFD_REFRESH = 0x181,
	WL_RESP_OK = 0x1000,
	WL_RESP_VFD_NEW = 0x1001,
	WL_RESP_VFD_NEW_DMABUF = 0x1002,
	WL_RESP_ERR = 0x1100,
	WL_RESP_OUT_OF_MEMORY = 0x1101,
	WL_RESP_INVALID_ID = 0x1102,
	WL_RESP_INVALID_TYPE = 0x1103,
	WL_RESP_INVALID_FLAGS = 0x1104,
	WL_RESP_INVALID_CMD = 0x1105,
};

#define WL_FLAG_WRITE	0x1
#define WL_FLAG_READ	0x2
#define WL_FLAG_MAP	0x2	/* without TRANS_FLAGS */
#define WL_FLAG_CONTROL	0x4	/* without TRANS_FLAGS */
#define WL_FLAG_FENCE	0x8

struct wl_hdr {
	__le32 type;
	__le32 flags;
};

/* VFD_CLOSE, VFD_HUP, VFD_REFRESH. */
struct wl_msg_id {
	struct wl_hdr hdr;
	__le32 id;
};

/* VFD_DMABUF_SYNC with its flags, VFD_CREDIT with its units. */
struct wl_msg_id_arg {
	struct wl_hdr hdr;
	__le32 id;
	__le32 arg;
};

struct wl_msg_new {
	struct wl_hdr hdr;
	__le32 id;
	__le32 flags;
	__le64 pfn;
	__le32 size;
	union {
		struct {
			__le32 width;
			__le32 height;
			__le32 format;
			__le32 stride[3];
			__le32 offset[3];
		} dmabuf;
		__u8 name[WL_NAME_SIZE];
	};
};

/* Bytes of a VFD_NEW and of its response that every device writes. */
#define WL_NEW_SHORT	28

/* VFD_SEND and VFD_RECV: the ids, then the data. */
struct wl_msg_data {
	struct wl_hdr hdr;
	__le32 id;
	__le32 count;
	__le32 ids[];
};

static_assert(sizeof(struct wl_msg_id) == 12);
static_assert(sizeof(struct wl_msg_id_arg) == 16);
static_assert(sizeof(struct wl_msg_new) == WL_RESP_SIZE);
static_assert(sizeof(struct wl_msg_data) == 16);

#endif
