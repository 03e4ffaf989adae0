// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: the out queue.
 *
 * A request is owned by its sender and by the queue, so that a sender may
 * leave at a signal while the device still works on it.
 */
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "virtio_wl.h"

/* Most requests, and about most bytes, under way to one VFD. */
#define WL_SHARE_REQUESTS	8
#define WL_SHARE_BYTES		(256 * 1024)
/* Descriptors that SEND leaves to other requests. */
#define WL_SPARE_DESCS		32
/* A device that does not answer for so long is dead. */
#define WL_QUIESCE_TIME		(2 * HZ)

struct wl_req *wl_req_new(enum wl_req_kind kind, struct wl_vfd *vfd,
			  size_t len, gfp_t gfp)
{
	struct wl_req *req = kzalloc(sizeof(*req), gfp);

	if (!req)
		return NULL;
	if (len > PAGE_SIZE)
		req->buf = kvzalloc(len, gfp);
	else
		req->buf = kzalloc(len, gfp);
	if (!req->buf) {
		kfree(req);
		return NULL;
	}
	kref_init(&req->kref);
	INIT_LIST_HEAD(&req->node);
	init_completion(&req->done);
	req->kind = kind;
	req->len = len;
	wl_vfd_get(vfd);
	req->vfd = vfd;
	atomic_inc(&vfd->dev->req_count);
	return req;
}

static void wl_req_release(struct kref *kref)
{
	struct wl_req *req = container_of(kref, struct wl_req, kref);

	atomic_dec(&req->vfd->dev->req_count);
	wl_vfd_put(req->vfd);
	kvfree(req->buf);
	kfree(req);
}

void wl_req_put(struct wl_req *req)
{
	kref_put(&req->kref, wl_req_release);
}

static int wl_status(u32 type)
{
	switch (type) {
	case WL_RESP_OK:
	case WL_RESP_VFD_NEW:
	case WL_RESP_VFD_NEW_DMABUF:
		return 0;
	case WL_RESP_ERR:
		return -ENODEV;
	case WL_RESP_OUT_OF_MEMORY:
		return -ENOMEM;
	case WL_RESP_INVALID_ID:
		return -ENOENT;
	case WL_RESP_INVALID_TYPE:
		return -EINVAL;
	case WL_RESP_INVALID_FLAGS:
		return -EPERM;
	case WL_RESP_INVALID_CMD:
		return -ENOTTY;
	default:
		return -EPROTO;
	}
}

/* Descriptors of the readable part. */
static unsigned int wl_req_descs(const struct wl_req *req)
{
	if (!is_vmalloc_addr(req->buf))
		return 1;
	return DIV_ROUND_UP(req->len, PAGE_SIZE);
}

static bool wl_share_left(const struct wl_vfd *vfd)
{
	return vfd->inflight < WL_SHARE_REQUESTS &&
	       vfd->inflight_bytes < WL_SHARE_BYTES;
}

/* For a SEND of so many descriptors. */
static bool wl_room_left(const struct wl_dev *dev, unsigned int need)
{
	return dev->out_vq->num_free >= min(need + WL_SPARE_DESCS, dev->out_size);
}

/* Under out_lock. -EAGAIN: no room now. */
static int wl_req_add(struct wl_req *req, struct scatterlist *sgs)
{
	struct wl_vfd *vfd = req->vfd;
	struct wl_dev *dev = vfd->dev;
	struct scatterlist resp, single, *lists[2] = { sgs, &resp };
	unsigned int need = wl_req_descs(req) + 1;
	int err;

	if (dev->dead)
		return -ENODEV;
	if (req->kind == WL_REQ_SEND) {
		if (!wl_share_left(vfd) || !wl_room_left(dev, need))
			return -EAGAIN;
	}
	if (!sgs) {
		sg_init_one(&single, req->buf, req->len);
		lists[0] = &single;
	}
	sg_init_one(&resp, req->resp, sizeof(req->resp));
	err = virtqueue_add_sgs(dev->out_vq, lists, 1, 1, req, GFP_ATOMIC);
	if (err == -ENOSPC)
		return -EAGAIN;
	if (err == -EIO) {
		wl_dev_fail(dev);
		return -ENODEV;
	}
	if (err)
		return err;
	kref_get(&req->kref);
	req->queued = true;
	if (req->kind == WL_REQ_SEND) {
		vfd->inflight++;
		vfd->inflight_bytes += req->data_bytes;
	} else {
		dev->prompt++;
	}
	return 0;
}

/* The pages of a buffer that is not contiguous; NULL if it is. */
static struct scatterlist *wl_req_sgs(struct wl_req *req)
{
	unsigned int i, count = wl_req_descs(req);
	struct scatterlist *sgs;
	size_t left = req->len;

	if (!is_vmalloc_addr(req->buf))
		return NULL;
	sgs = kvmalloc_array(count, sizeof(*sgs), GFP_KERNEL);
	if (!sgs)
		return ERR_PTR(-ENOMEM);
	sg_init_table(sgs, count);
	for (i = 0; i < count; i++) {
		size_t part = min_t(size_t, left, PAGE_SIZE);

		sg_set_page(&sgs[i], vmalloc_to_page(req->buf + i * PAGE_SIZE),
			    part, 0);
		left -= part;
	}
	return sgs;
}

/* Tries once; notes that somebody wants room when there is none. */
static int wl_req_try(struct wl_req *req, struct scatterlist *sgs)
{
	struct wl_dev *dev = req->vfd->dev;
	unsigned long flags;
	bool kick = false;
	int err;

	spin_lock_irqsave(&dev->out_lock, flags);
	err = wl_req_add(req, sgs);
	if (!err)
		kick = virtqueue_kick_prepare(dev->out_vq);
	else if (err == -EAGAIN)
		dev->starved = true;
	/* The queue goes away only after `dead` was set under this lock. */
	if (kick)
		virtqueue_notify(dev->out_vq);
	spin_unlock_irqrestore(&dev->out_lock, flags);
	return err;
}

int wl_req_submit(struct wl_req *req, bool nonblock)
{
	struct wl_dev *dev = req->vfd->dev;
	struct scatterlist *sgs = wl_req_sgs(req);
	int err = 0, wait;

	if (IS_ERR(sgs))
		return PTR_ERR(sgs);
	if (nonblock) {
		err = wl_req_try(req, sgs);
	} else {
		wait = wait_event_interruptible(dev->out_wait,
						(err = wl_req_try(req, sgs)) != -EAGAIN);
		if (wait)
			err = wait;
	}
	kvfree(sgs);
	return err;
}

void wl_req_submit_async(struct wl_req *req)
{
	struct wl_dev *dev = req->vfd->dev;
	unsigned long flags;
	LIST_HEAD(gone);
	int err;

	spin_lock_irqsave(&dev->out_lock, flags);
	/* Never overtakes what waits already. */
	err = list_empty(&dev->backlog) ? wl_req_add(req, NULL) : -EAGAIN;
	if (err == -EAGAIN && !dev->dead) {
		kref_get(&req->kref);
		list_add_tail(&req->node, &dev->backlog);
	} else if (!err) {
		virtqueue_kick(dev->out_vq);
	} else if (req->kind == WL_REQ_CLOSE) {
		/* Nobody will answer; there may be no work any more either. */
		kref_get(&req->kref);
		list_add(&req->node, &gone);
	}
	spin_unlock_irqrestore(&dev->out_lock, flags);
	wl_reap(dev, &gone);
	wl_req_put(req);
}

int wl_req_wait(struct wl_req *req)
{
	int err = wait_for_completion_interruptible(&req->done);

	return err ? err : req->status;
}

bool wl_req_abandon(struct wl_req *req)
{
	struct wl_dev *dev = req->vfd->dev;
	bool left;

	spin_lock_irq(&dev->out_lock);
	left = !req->finished;
	if (left)
		req->orphan = true;
	spin_unlock_irq(&dev->out_lock);
	return left;
}

bool wl_may_send(struct wl_vfd *vfd)
{
	struct wl_dev *dev = vfd->dev;
	bool may;

	spin_lock_irq(&dev->out_lock);
	may = dev->dead || (wl_share_left(vfd) && wl_room_left(dev, 2));
	if (!may)
		dev->starved = true;
	spin_unlock_irq(&dev->out_lock);
	return may;
}

/* Under out_lock; the queue's reference goes to `done` or to dev->reap. */
static void wl_req_finish(struct wl_req *req, int status, struct list_head *done)
{
	struct wl_vfd *vfd = req->vfd;
	struct wl_dev *dev = vfd->dev;
	bool reap = false;

	req->status = status;
	req->finished = true;
	if (req->queued && req->kind != WL_REQ_SEND)
		dev->prompt--;
	switch (req->kind) {
	case WL_REQ_SEND:
		vfd->inflight--;
		vfd->inflight_bytes -= req->data_bytes;
		if (req->orphan && status && !vfd->send_err)
			vfd->send_err = status;
		break;
	case WL_REQ_CREATE:
		reap = req->orphan;
		break;
	case WL_REQ_CLOSE:
		reap = true;
		break;
	default:
		break;
	}
	complete_all(&req->done);
	if (reap) {
		list_add_tail(&req->node, &dev->reap);
		queue_work(dev->wq, &dev->work);
	} else {
		list_add_tail(&req->node, done);
	}
}

static void wl_req_put_list(struct list_head *list)
{
	struct wl_req *req, *next;

	list_for_each_entry_safe(req, next, list, node) {
		list_del_init(&req->node);
		wl_req_put(req);
	}
}

/* Under out_lock. */
static void wl_backlog_flush(struct wl_dev *dev)
{
	struct wl_req *req, *next;
	bool any = false;

	list_for_each_entry_safe(req, next, &dev->backlog, node) {
		if (wl_req_add(req, NULL))
			break;
		list_del_init(&req->node);
		/* The queue has its own reference now. */
		kref_put(&req->kref, wl_req_release);
		any = true;
	}
	if (any)
		virtqueue_kick(dev->out_vq);
}

void wl_out_callback(struct virtqueue *vq)
{
	struct wl_dev *dev = vq->vdev->priv;
	LIST_HEAD(done);
	struct wl_req *req;
	unsigned long flags;
	unsigned int len;
	bool starved;

	spin_lock_irqsave(&dev->out_lock, flags);
	do {
		virtqueue_disable_cb(vq);
		while ((req = virtqueue_get_buf(vq, &len))) {
			const struct wl_hdr *hdr = (void *)req->resp;
			int status = -EPROTO;

			req->resp_len = min_t(u32, len, sizeof(req->resp));
			if (req->resp_len >= sizeof(hdr->type))
				status = wl_status(le32_to_cpu(hdr->type));
			wl_req_finish(req, status, &done);
		}
	} while (!dev->quiet && !virtqueue_enable_cb(vq));
	if (virtqueue_is_broken(vq) && !dev->dead)
		wl_dev_fail(dev);
	wl_backlog_flush(dev);
	starved = dev->starved || dev->dead;
	dev->starved = false;
	spin_unlock_irqrestore(&dev->out_lock, flags);

	wl_req_put_list(&done);
	if (starved)
		wake_up_poll(&dev->out_wait, EPOLLOUT | EPOLLWRNORM);
}

bool wl_out_dead(struct wl_dev *dev)
{
	bool first;

	spin_lock_irq(&dev->out_lock);
	first = !dev->dead;
	dev->dead = true;
	spin_unlock_irq(&dev->out_lock);
	wake_up_all(&dev->out_wait);
	return first;
}

static bool wl_none_prompt(struct wl_dev *dev)
{
	bool none;

	spin_lock_irq(&dev->out_lock);
	none = !dev->prompt || virtqueue_is_broken(dev->out_vq);
	spin_unlock_irq(&dev->out_lock);
	return none;
}

/*
 * A monitor that is just mapping memory for us had better not be reset: QEMU
 * 11.1 crashes. All but SEND is answered at once, by a device that lives.
 */
void wl_out_quiesce(struct wl_dev *dev, bool wait)
{
	if (wait && !wait_event_timeout(dev->out_wait, wl_none_prompt(dev),
					WL_QUIESCE_TIME))
		dev_warn(&dev->vdev->dev, "the device does not answer\n");
	spin_lock_irq(&dev->out_lock);
	dev->quiet = true;
	spin_unlock_irq(&dev->out_lock);
}

void wl_out_drain(struct wl_dev *dev)
{
	LIST_HEAD(done);
	struct wl_req *req, *next;

	spin_lock_irq(&dev->out_lock);
	while ((req = virtqueue_detach_unused_buf(dev->out_vq)))
		wl_req_finish(req, -ENODEV, &done);
	list_for_each_entry_safe(req, next, &dev->backlog, node) {
		list_del_init(&req->node);
		wl_req_finish(req, -ENODEV, &done);
	}
	spin_unlock_irq(&dev->out_lock);
	wl_req_put_list(&done);
	wake_up_all(&dev->out_wait);
}
