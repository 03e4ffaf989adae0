// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device sends: the in queue.
 *
 * With CREDIT everything is copied out and the buffer goes back at once.
 * Without it a buffer stays with its chunk until that is consumed, which is
 * all the flow control there is.
 */
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "virtio_wl.h"

/* Room for at least this much, so that small messages share a chunk. */
#define WL_CHUNK_MIN	512
/* Most buffers the device gets, however long its queue is: a megabyte. */
#define WL_IN_MAX	256
/* VFDs the device may have made at once; the peers it serves can make it. */
#define WL_HOST_VFDS_MAX	65536

void wl_in_callback(struct virtqueue *vq)
{
	struct wl_dev *dev = vq->vdev->priv;

	queue_work(dev->wq, &dev->work);
}

/* Under in_lock. */
static int wl_in_add(struct wl_dev *dev, void *page)
{
	struct scatterlist sg;

	sg_init_one(&sg, page, WL_IN_BUFFER);
	return virtqueue_add_inbuf(dev->in_vq, &sg, 1, page, GFP_ATOMIC);
}

int wl_in_fill(struct wl_dev *dev)
{
	unsigned int count = 0;
	int err = 0;

	while (dev->in_vq->num_free && count < WL_IN_MAX) {
		/* No program shall see what lay here before. */
		void *page = kzalloc(WL_IN_BUFFER, GFP_KERNEL);

		if (!page)
			break;
		spin_lock(&dev->in_lock);
		err = wl_in_add(dev, page);
		spin_unlock(&dev->in_lock);
		if (err) {
			kfree(page);
			break;
		}
		count++;
	}
	if (!count)
		return err ? err : -ENOMEM;
	virtqueue_kick(dev->in_vq);
	return 0;
}

void wl_in_give_back(struct wl_dev *dev, void *page)
{
	spin_lock(&dev->in_lock);
	if (dev->in_vq && !wl_in_add(dev, page)) {
		virtqueue_kick(dev->in_vq);
		page = NULL;
	}
	spin_unlock(&dev->in_lock);
	kfree(page);
}

void wl_in_drain(struct wl_dev *dev)
{
	void *page;

	spin_lock(&dev->in_lock);
	while ((page = virtqueue_detach_unused_buf(dev->in_vq)))
		kfree(page);
	dev->in_vq = NULL;
	spin_unlock(&dev->in_lock);
}

struct wl_chunk *wl_chunk_new(struct wl_dev *dev)
{
	atomic_inc(&dev->chunk_count);
	return kzalloc(sizeof(struct wl_chunk), GFP_KERNEL | __GFP_NOFAIL);
}

void wl_chunk_free(struct wl_dev *dev, struct wl_chunk *chunk)
{
	atomic_dec(&dev->chunk_count);
	if (chunk->page)
		wl_in_give_back(dev, chunk->page);
	else
		kfree(chunk->data);
	kfree(chunk);
}

static void wl_incoming_new(struct wl_dev *dev, const struct wl_msg_new *msg,
			    unsigned int len)
{
	u32 id, size;
	struct wl_vfd *vfd;
	u64 pfn;

	if (len < WL_NEW_SHORT) {
		dev_warn_ratelimited(&dev->vdev->dev, "VFD_NEW cut short\n");
		return;
	}
	id = le32_to_cpu(msg->id);
	if (!(id & WL_HOST_ID_BIT) || (id & WL_ILLEGAL_ID_BIT)) {
		if (id)
			dev_warn_ratelimited(&dev->vdev->dev,
					     "id %#x is not the device's to choose\n", id);
		return;
	}
	if (atomic_read(&dev->vfd_count) >= WL_HOST_VFDS_MAX) {
		dev_warn_ratelimited(&dev->vdev->dev, "too many VFDs\n");
		return;
	}
	vfd = wl_vfd_new(dev, GFP_KERNEL | __GFP_NOFAIL);
	vfd->id = id;
	vfd->flags = le32_to_cpu(msg->flags);
	size = le32_to_cpu(msg->size);
	pfn = le64_to_cpu(msg->pfn);
	/* Memory that lies elsewhere is none: the VFD is there all the same. */
	if (wl_memory_ok(dev, pfn, size, &vfd->offset))
		vfd->size = size;
	else if (dev->trans_flags && !vfd->flags)
		vfd->hup = true;
	if (xa_insert(&dev->vfds, id, vfd, GFP_KERNEL | __GFP_NOFAIL)) {
		dev_warn_ratelimited(&dev->vdev->dev, "id %#x is in use\n", id);
		wl_vfd_put(vfd);
	}
}

static void wl_hang_up(struct wl_vfd *vfd)
{
	spin_lock(&vfd->lock);
	vfd->hup = true;
	spin_unlock(&vfd->lock);
	wake_up_all(&vfd->wait);
}

static void wl_incoming_hup(struct wl_dev *dev, const struct wl_msg_id *msg,
			    unsigned int len)
{
	struct wl_vfd *vfd;

	if (len < sizeof(*msg))
		return;
	vfd = wl_vfd_find(dev, le32_to_cpu(msg->id));
	if (!vfd)
		return;
	wl_hang_up(vfd);
	wl_vfd_put(vfd);
}

/* Whether the device may send so much; it then has. */
static bool wl_charge(struct wl_vfd *vfd, unsigned int units)
{
	bool may;

	spin_lock(&vfd->lock);
	may = vfd->owed < WL_CREDIT_INITIAL;
	if (may)
		vfd->owed += units;
	spin_unlock(&vfd->lock);
	return may;
}

/* Whom a message is for; NULL if for nobody any more, or if it must not be. */
static struct wl_vfd *wl_incoming_target(struct wl_dev *dev, u32 id,
					 unsigned int units, unsigned int count)
{
	struct wl_vfd *vfd = wl_vfd_find(dev, id);

	if (!vfd)
		return NULL;
	/* Or VFDs could be queued in each other, out of everybody's reach. */
	if (count && (vfd->id & WL_HOST_ID_BIT) && !vfd->claimed) {
		dev_warn_ratelimited(&dev->vdev->dev,
				     "VFDs for %#x, which nobody has\n", vfd->id);
	} else if (dev->credit && !wl_charge(vfd, units)) {
		dev_warn_ratelimited(&dev->vdev->dev,
				     "more for %#x than its credit\n", vfd->id);
		wl_hang_up(vfd);
	} else {
		return vfd;
	}
	wl_vfd_put(vfd);
	return NULL;
}

/* The VFDs a message names that can be handed out; each only once. */
static void wl_incoming_claim(struct wl_dev *dev, struct wl_chunk *chunk,
			      const struct wl_msg_data *msg, unsigned int count)
{
	struct wl_vfd *vfd;
	unsigned int i;
	u32 id;

	for (i = 0; i < count; i++) {
		/* The device can still write here: looked at once. */
		id = le32_to_cpu(READ_ONCE(msg->ids[i]));
		vfd = wl_vfd_find(dev, id);
		/* Only this work claims; the table keeps a reference. */
		if (vfd)
			wl_vfd_put(vfd);
		if (!vfd || !(id & WL_HOST_ID_BIT) || vfd->claimed) {
			dev_warn_ratelimited(&dev->vdev->dev,
					     "VFD_RECV names %#x, which is not new\n", id);
			continue;
		}
		vfd->claimed = true;
		chunk->vfds[chunk->vfd_count++] = vfd;
	}
}

/* Small messages without VFDs go behind what waits already. */
static bool wl_append(struct wl_vfd *vfd, const u8 *data, unsigned int len)
{
	struct wl_chunk *last;
	bool fits = false;

	spin_lock(&vfd->lock);
	if (!vfd->closed && !list_empty(&vfd->chunks)) {
		last = list_last_entry(&vfd->chunks, struct wl_chunk, node);
		fits = last->off + last->len + len <= last->cap;
		if (fits) {
			memcpy(last->data + last->off + last->len, data, len);
			last->len += len;
			vfd->bytes += len;
		}
	}
	spin_unlock(&vfd->lock);
	return fits;
}

/* True: the buffer is kept. */
static bool wl_incoming_recv(struct wl_dev *dev, struct wl_msg_data *msg,
			     unsigned int len)
{
	unsigned int i, count, head, bytes, units;
	struct wl_chunk *chunk;
	struct wl_vfd *vfd;
	bool closed, kept;

	if (len < sizeof(*msg))
		goto bad;
	count = le32_to_cpu(READ_ONCE(msg->count));
	if (count > WL_MAX_VFDS)
		goto bad;
	head = struct_size(msg, ids, count);
	if (len < head)
		goto bad;
	bytes = len - head;
	units = bytes + count * WL_CREDIT_PER_VFD;
	vfd = wl_incoming_target(dev, le32_to_cpu(READ_ONCE(msg->id)), units, count);
	if (vfd && dev->credit && !count &&
	    (!bytes || wl_append(vfd, (u8 *)msg + head, bytes))) {
		wake_up_poll(&vfd->wait, EPOLLIN | EPOLLRDNORM);
		wl_vfd_put(vfd);
		return false;
	}

	chunk = wl_chunk_new(dev);
	wl_incoming_claim(dev, chunk, msg, count);
	chunk->vfd_units = count * WL_CREDIT_PER_VFD;
	chunk->len = bytes;
	if (dev->credit) {
		chunk->cap = max_t(unsigned int, bytes, WL_CHUNK_MIN);
		chunk->data = kmalloc(chunk->cap, GFP_KERNEL);
	}
	if (chunk->data) {
		memcpy(chunk->data, (u8 *)msg + head, bytes);
	} else {
		chunk->cap = 0;
		chunk->page = msg;
		chunk->data = (u8 *)msg + head;
	}
	kept = chunk->page;

	closed = true;
	if (vfd && (chunk->vfd_count || bytes)) {
		spin_lock(&vfd->lock);
		closed = vfd->closed;
		if (!closed) {
			list_add_tail(&chunk->node, &vfd->chunks);
			vfd->bytes += bytes;
		}
		spin_unlock(&vfd->lock);
	}
	if (closed) {
		for (i = 0; i < chunk->vfd_count; i++)
			wl_vfd_close(chunk->vfds[i]);
		if (vfd)
			wl_vfd_consumed(vfd, units);
		chunk->page = NULL;
		if (kept)
			chunk->data = NULL;
		kept = false;
		wl_chunk_free(dev, chunk);
	} else {
		wake_up_poll(&vfd->wait, EPOLLIN | EPOLLRDNORM);
	}
	if (vfd)
		wl_vfd_put(vfd);
	return kept;
bad:
	dev_warn_ratelimited(&dev->vdev->dev, "malformed VFD_RECV\n");
	return false;
}

static bool wl_incoming(struct wl_dev *dev, void *page, unsigned int len)
{
	struct wl_hdr *hdr = page;
	u32 type;

	if (len < sizeof(*hdr) || len > WL_IN_BUFFER) {
		dev_warn_ratelimited(&dev->vdev->dev, "message of %u bytes\n", len);
		return false;
	}
	type = le32_to_cpu(hdr->type);
	switch (type) {
	case WL_VFD_NEW:
		wl_incoming_new(dev, page, len);
		return false;
	case WL_VFD_RECV:
		return wl_incoming_recv(dev, page, len);
	case WL_VFD_HUP:
		wl_incoming_hup(dev, page, len);
		return false;
	default:
		dev_warn_ratelimited(&dev->vdev->dev, "message of type %#x\n", type);
		return false;
	}
}

void wl_reap_splice(struct wl_dev *dev, struct list_head *list)
{
	spin_lock_irq(&dev->out_lock);
	list_splice_tail_init(&dev->reap, list);
	spin_unlock_irq(&dev->out_lock);
}

/* VFDs that are closed, and such as nobody waited for any more. */
void wl_reap(struct wl_dev *dev, struct list_head *list)
{
	struct wl_req *req, *next;
	bool freed = false;

	list_for_each_entry_safe(req, next, list, node) {
		struct wl_vfd *vfd = req->vfd;

		list_del_init(&req->node);
		if (req->kind == WL_REQ_CLOSE) {
			xa_erase(&dev->vfds, vfd->id);
			if (!(vfd->id & WL_HOST_ID_BIT)) {
				atomic_dec(&dev->closing);
				freed = true;
			}
			wl_vfd_put(vfd);
		} else if (req->status) {
			wl_vfd_forget(vfd);
		} else {
			wl_vfd_close(vfd);
		}
		wl_req_put(req);
	}
	if (freed) {
		atomic_inc(&dev->freed);
		wake_up_all(&dev->out_wait);
	}
}

static void *wl_in_next(struct wl_dev *dev, unsigned int *len)
{
	void *page = NULL;

	spin_lock(&dev->in_lock);
	if (dev->in_vq) {
		virtqueue_disable_cb(dev->in_vq);
		page = virtqueue_get_buf(dev->in_vq, len);
		if (!page && !virtqueue_enable_cb(dev->in_vq))
			page = virtqueue_get_buf(dev->in_vq, len);
		if (!page && virtqueue_is_broken(dev->in_vq))
			wl_dev_fail(dev);
	}
	spin_unlock(&dev->in_lock);
	return page;
}

void wl_in_work(struct work_struct *work)
{
	struct wl_dev *dev = container_of(work, struct wl_dev, work);
	unsigned int len, left;
	LIST_HEAD(reap);
	void *page;

	/*
	 * First, because what the device sent before it answered VFD_CLOSE
	 * must be seen before the id is free. That is never more than the
	 * queue holds.
	 */
	wl_reap_splice(dev, &reap);
	for (left = dev->in_size; left; left--) {
		page = wl_in_next(dev, &len);
		if (!page)
			break;
		if (!wl_incoming(dev, page, len))
			wl_in_give_back(dev, page);
		cond_resched();
	}
	wl_reap(dev, &reap);
	if (!left)
		queue_work(dev->wq, &dev->work);
}
