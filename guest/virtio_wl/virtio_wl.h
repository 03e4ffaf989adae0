/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the driver share.
 *
 * Locks, none of which is held while the device is waited for:
 *   vfd->recv_mutex > vfd->lock     readers > what the device has sent
 *   dev->out_lock (irq)             out queue, requests, dev->dead
 *   dev->in_lock                    in queue
 *   the lock of dev->vfds           id to VFD
 *   dev->map_lock                   faults in memory > vfd->lock
 * vfd->lock, out_lock, in_lock and that of dev->vfds are never nested.
 */
#ifndef VIRTIO_WL_H
#define VIRTIO_WL_H

#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "wire.h"

struct wl_dev {
	struct kref kref;
	struct virtio_device *vdev;	/* gone when dead */
	struct miscdevice misc;
	int index;			/* N of /dev/wlN */
	char name[16];

	struct virtqueue *in_vq;
	struct virtqueue *out_vq;
	unsigned int in_size;		/* descriptors of in */
	unsigned int out_size;		/* descriptors of out */
	spinlock_t in_lock;		/* in_vq */
	spinlock_t out_lock;		/* out_vq, all down to out_wait, requests */

	bool dead;			/* nothing new reaches the device */
	bool quiet;			/* nor does it tell us anything */
	unsigned int prompt;		/* requests in out that are answered soon */
	bool starved;			/* somebody waits for room in out */
	struct list_head backlog;	/* requests nobody waits for, until there is room */
	struct list_head reap;		/* answered requests the work finishes */
	wait_queue_head_t out_wait;	/* room in out, ids free again, dead */

	struct workqueue_struct *wq;
	struct work_struct work;	/* what came through in, and reap */
	struct work_struct fail_work;

	struct xarray vfds;
	atomic_t closing;		/* guest ids that become free soon */
	atomic_t freed;			/* how often some have */

	bool trans_flags;
	bool use_shmem;
	bool credit;
	bool refresh;
	phys_addr_t shm_addr;
	u64 shm_len;			/* 0: no memory */
	void *shm;			/* all of it */
	/* Shared by those who map pages, which ends with `dead`. */
	struct rw_semaphore map_lock;

	/* What there is, for sysfs. */
	atomic_t vfd_count;
	atomic_t req_count;
	atomic_t chunk_count;
};

struct wl_vfd {
	struct kref kref;
	struct wl_dev *dev;
	u32 id;

	/* Set before the file is there; REFRESH changes the last two, locked. */
	u32 flags;
	u32 size;			/* 0: no memory */
	u64 offset;			/* in region 0 */

	struct mutex recv_mutex;	/* one reader at a time */
	spinlock_t lock;		/* what follows */
	wait_queue_head_t wait;
	struct list_head chunks;	/* struct wl_chunk, in order */
	size_t bytes;			/* in all of them */
	u32 consumed;			/* units to give back to the device */
	u32 owed;			/* units not given back, these included */
	bool hup;
	bool closed;			/* nobody can ever read it */
	bool claimed;			/* has, had or will have a file */
	struct inode *inode;		/* of its file */

	/* Under dev->out_lock. */
	unsigned int inflight;
	size_t inflight_bytes;
	int send_err;			/* of a SEND whose sender had left */

	struct list_head doomed;	/* while it is being closed */
};

/* What one VFD_RECV has brought and nobody has taken yet. */
struct wl_chunk {
	struct list_head node;
	void *page;			/* the in buffer, or NULL: data is ours */
	u8 *data;
	unsigned int off;		/* of the first byte left */
	unsigned int len;		/* bytes left */
	unsigned int cap;		/* room behind data, for more */
	unsigned int vfd_units;		/* what its VFDs cost, all together */
	unsigned int vfd_off;		/* the first VFD left */
	unsigned int vfd_count;		/* VFDs left */
	struct wl_vfd *vfds[WL_MAX_VFDS];
};

enum wl_req_kind {
	WL_REQ_PLAIN,			/* its sender wants the response */
	WL_REQ_CREATE,			/* as well; undone if it has left */
	WL_REQ_SEND,			/* counts in vfd->inflight */
	WL_REQ_CLOSE,			/* gives the id free */
	WL_REQ_CREDIT,
};

/* A request. It lives until device and sender both have done with it. */
struct wl_req {
	struct kref kref;
	struct list_head node;
	enum wl_req_kind kind;
	struct wl_vfd *vfd;
	struct completion done;
	int status;			/* errno that the response means */
	bool queued;			/* the device has it */
	bool finished;
	bool orphan;			/* its sender has left */
	u32 resp_len;
	size_t data_bytes;
	size_t len;
	void *buf;			/* kvmalloc */
	/* The device's to write: what is ours must not share its cache lines. */
	u8 resp[WL_RESP_SIZE] ____cacheline_aligned;
};

/* virtio_wl_main.c */
/* The device broke the rules of its queues: gives it up, soon. */
void wl_dev_fail(struct wl_dev *dev);
void wl_dev_get(struct wl_dev *dev);
void wl_dev_put(struct wl_dev *dev);
/* Whether memory lies in region 0; its offset there. */
bool wl_memory_ok(struct wl_dev *dev, u64 pfn, u32 size, u64 *offset);

/* request.c */
struct wl_req *wl_req_new(enum wl_req_kind kind, struct wl_vfd *vfd,
			  size_t len, gfp_t gfp);
void wl_req_put(struct wl_req *req);
/* Puts it on the queue, waiting for room unless told not to. */
int wl_req_submit(struct wl_req *req, bool nonblock);
/* On the queue now or later; nobody waits. Takes the caller's reference. */
void wl_req_submit_async(struct wl_req *req);
/* Waits for the response; -ERESTARTSYS leaves the request behind. */
int wl_req_wait(struct wl_req *req);
/* The sender leaves: false if the response has come meanwhile. */
bool wl_req_abandon(struct wl_req *req);
bool wl_may_send(struct wl_vfd *vfd);
void wl_out_callback(struct virtqueue *vq);
/* -ENODEV for everything under way; the device has been reset. */
void wl_out_drain(struct wl_dev *dev);
/* False: it was dead before. */
bool wl_out_dead(struct wl_dev *dev);
/* Waits for what the device answers soon; then it is listened to no more. */
void wl_out_quiesce(struct wl_dev *dev, bool wait);

/* incoming.c */
void wl_in_callback(struct virtqueue *vq);
void wl_in_work(struct work_struct *work);
int wl_in_fill(struct wl_dev *dev);
void wl_in_give_back(struct wl_dev *dev, void *page);
void wl_in_drain(struct wl_dev *dev);
struct wl_chunk *wl_chunk_new(struct wl_dev *dev);
void wl_chunk_free(struct wl_dev *dev, struct wl_chunk *chunk);
void wl_reap_splice(struct wl_dev *dev, struct list_head *list);
void wl_reap(struct wl_dev *dev, struct list_head *list);

/* vfd.c */
extern const struct file_operations wl_vfd_fops;
struct wl_vfd *wl_vfd_new(struct wl_dev *dev, gfp_t gfp);
void wl_vfd_get(struct wl_vfd *vfd);
void wl_vfd_put(struct wl_vfd *vfd);
struct wl_vfd *wl_vfd_find(struct wl_dev *dev, u32 id);
/* Forgets a VFD the device does not have. */
void wl_vfd_forget(struct wl_vfd *vfd);
/* Closes a VFD that the device has, and everything queued in it. */
void wl_vfd_close(struct wl_vfd *vfd);
/* Units the reader has consumed. */
void wl_vfd_consumed(struct wl_vfd *vfd, u32 units);
void wl_vfd_die(struct wl_vfd *vfd);

/* refresh.c */
long wl_vfd_refresh(struct file *file, u64 __user *user);

/* sysfs.c */
extern const struct attribute_group *wl_groups[];

/* file.c */
int wl_fs_init(void);
void wl_fs_exit(void);
/* Takes over the VFD: the last reference to the file closes it. */
struct file *wl_file_new(struct wl_vfd *vfd);
/* Undoes that: the VFD stays open. */
void wl_file_cancel(struct file *file);

/* recv.c */
ssize_t wl_vfd_recv(struct file *file, char __user *data, size_t len,
		    s32 __user *fds, u32 __user *out_len);

/* send.c */
ssize_t wl_vfd_send(struct file *file, const char __user *data, size_t len,
		    const s32 *fds);
size_t wl_send_max(struct wl_dev *dev, unsigned int vfds);

/* ioctl.c */
extern const struct file_operations wl_dev_fops;
long wl_vfd_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif
