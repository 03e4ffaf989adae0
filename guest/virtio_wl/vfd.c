// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFDs: what is known of them, and their end.
 *
 * A VFD stays in dev->vfds, under its id, until the device has answered its
 * VFD_CLOSE and everything sent before that answer was looked at. So nothing
 * meant for it can reach the next VFD of the same id.
 */
#include <linux/slab.h>

#include "virtio_wl.h"

struct wl_vfd *wl_vfd_new(struct wl_dev *dev, gfp_t gfp)
{
	struct wl_vfd *vfd = kzalloc(sizeof(*vfd), gfp);

	if (!vfd)
		return NULL;
	kref_init(&vfd->kref);
	wl_dev_get(dev);
	vfd->dev = dev;
	atomic_inc(&dev->vfd_count);
	mutex_init(&vfd->recv_mutex);
	spin_lock_init(&vfd->lock);
	init_waitqueue_head(&vfd->wait);
	INIT_LIST_HEAD(&vfd->chunks);
	INIT_LIST_HEAD(&vfd->doomed);
	return vfd;
}

void wl_vfd_get(struct wl_vfd *vfd)
{
	kref_get(&vfd->kref);
}

/* Also in interrupts. */
static void wl_vfd_release(struct kref *kref)
{
	struct wl_vfd *vfd = container_of(kref, struct wl_vfd, kref);

	WARN_ON_ONCE(!list_empty(&vfd->chunks));
	atomic_dec(&vfd->dev->vfd_count);
	wl_dev_put(vfd->dev);
	kfree(vfd);
}

void wl_vfd_put(struct wl_vfd *vfd)
{
	kref_put(&vfd->kref, wl_vfd_release);
}

struct wl_vfd *wl_vfd_find(struct wl_dev *dev, u32 id)
{
	struct wl_vfd *vfd;

	xa_lock(&dev->vfds);
	vfd = xa_load(&dev->vfds, id);
	if (vfd)
		wl_vfd_get(vfd);
	xa_unlock(&dev->vfds);
	return vfd;
}

/* Takes everything out of a VFD for good. */
static void wl_vfd_empty(struct wl_vfd *vfd, struct list_head *chunks)
{
	spin_lock(&vfd->lock);
	vfd->closed = true;
	list_splice_init(&vfd->chunks, chunks);
	vfd->bytes = 0;
	spin_unlock(&vfd->lock);
}

static void wl_vfd_send_close(struct wl_vfd *vfd)
{
	struct wl_req *req;
	struct wl_msg_id *msg;

	if (!(vfd->id & WL_HOST_ID_BIT))
		atomic_inc(&vfd->dev->closing);
	req = wl_req_new(WL_REQ_CLOSE, vfd, sizeof(*msg),
			 GFP_KERNEL | __GFP_NOFAIL);
	msg = req->buf;
	msg->hdr.type = cpu_to_le32(WL_VFD_CLOSE);
	msg->id = cpu_to_le32(vfd->id);
	wl_req_submit_async(req);
}

/*
 * VFDs may be queued in VFDs to any depth, as the peer likes: no recursion.
 */
static void wl_vfd_close_list(struct list_head *doomed)
{
	struct wl_chunk *chunk, *next;
	struct wl_vfd *vfd;
	unsigned int i;

	while (!list_empty(doomed)) {
		LIST_HEAD(chunks);

		vfd = list_first_entry(doomed, struct wl_vfd, doomed);
		list_del_init(&vfd->doomed);
		wl_vfd_empty(vfd, &chunks);
		list_for_each_entry_safe(chunk, next, &chunks, node) {
			for (i = 0; i < chunk->vfd_count; i++)
				list_add_tail(&chunk->vfds[chunk->vfd_off + i]->doomed,
					      doomed);
			list_del(&chunk->node);
			wl_chunk_free(vfd->dev, chunk);
		}
		wl_vfd_send_close(vfd);
	}
}

void wl_vfd_close(struct wl_vfd *vfd)
{
	LIST_HEAD(doomed);

	list_add(&vfd->doomed, &doomed);
	wl_vfd_close_list(&doomed);
}

void wl_vfd_forget(struct wl_vfd *vfd)
{
	struct wl_dev *dev = vfd->dev;
	struct wl_chunk *chunk, *next;
	LIST_HEAD(chunks);
	unsigned int i;

	wl_vfd_empty(vfd, &chunks);
	/* Only a faulty device sends to a VFD that it did not create. */
	list_for_each_entry_safe(chunk, next, &chunks, node) {
		for (i = 0; i < chunk->vfd_count; i++)
			wl_vfd_close(chunk->vfds[chunk->vfd_off + i]);
		list_del(&chunk->node);
		wl_chunk_free(dev, chunk);
	}
	xa_erase(&dev->vfds, vfd->id);
	wl_vfd_put(vfd);
}

void wl_vfd_consumed(struct wl_vfd *vfd, u32 units)
{
	struct wl_msg_id_arg *msg;
	struct wl_req *req;

	if (!vfd->dev->credit || !units)
		return;
	spin_lock(&vfd->lock);
	vfd->consumed += units;
	units = 0;
	if (vfd->consumed >= WL_CREDIT_BATCH && !vfd->hup && !vfd->closed)
		swap(units, vfd->consumed);
	vfd->owed -= units;
	spin_unlock(&vfd->lock);
	if (!units)
		return;
	req = wl_req_new(WL_REQ_CREDIT, vfd, sizeof(*msg),
			 GFP_KERNEL | __GFP_NOFAIL);
	msg = req->buf;
	msg->hdr.type = cpu_to_le32(WL_VFD_CREDIT);
	msg->id = cpu_to_le32(vfd->id);
	msg->arg = cpu_to_le32(units);
	wl_req_submit_async(req);
}

/* The device is gone: wakes everybody and takes the memory away. */
void wl_vfd_die(struct wl_vfd *vfd)
{
	struct inode *inode = NULL;

	spin_lock(&vfd->lock);
	vfd->hup = true;
	if (vfd->inode)
		inode = igrab(vfd->inode);
	spin_unlock(&vfd->lock);
	wake_up_all(&vfd->wait);
	if (inode) {
		unmap_mapping_range(inode->i_mapping, 0, 0, 1);
		iput(inode);
	}
}
