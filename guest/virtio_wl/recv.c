// SPDX-License-Identifier: GPL-2.0-only
/*
 * RECV and read(2).
 *
 * Nothing is taken from the queue before everything that can fail has been
 * done: descriptor numbers, files and copies to the caller. Readers exclude
 * each other by recv_mutex, and the device only adds at the end, so what was
 * looked at stays where it is.
 */
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "virtio_wl.h"

struct wl_take {
	size_t bytes;
	unsigned int count;
	int fds[WL_MAX_VFDS];
	struct file *files[WL_MAX_VFDS];
	struct wl_vfd *vfds[WL_MAX_VFDS];
};

static bool wl_readable(struct wl_vfd *vfd, bool want_fds)
{
	bool readable;

	spin_lock(&vfd->lock);
	readable = vfd->hup || vfd->bytes ||
		   (want_fds && !list_empty(&vfd->chunks));
	spin_unlock(&vfd->lock);
	return readable;
}

/*
 * How far `len` bytes and `fds` descriptors reach. Bytes are never handed out
 * before the VFDs that came with them.
 */
static void wl_plan(struct wl_vfd *vfd, struct wl_take *take, size_t len,
		    unsigned int fds, bool want_fds)
{
	struct wl_chunk *chunk;
	unsigned int i, part;

	take->bytes = 0;
	take->count = 0;
	spin_lock(&vfd->lock);
	list_for_each_entry(chunk, &vfd->chunks, node) {
		if (want_fds) {
			for (i = 0; i < chunk->vfd_count && take->count < fds; i++)
				take->vfds[take->count++] =
					chunk->vfds[chunk->vfd_off + i];
			if (i < chunk->vfd_count)
				break;
		}
		part = min_t(size_t, chunk->len, len - take->bytes);
		take->bytes += part;
		if (take->bytes == len)
			break;
	}
	spin_unlock(&vfd->lock);
}

static int wl_copy_out(struct wl_vfd *vfd, char __user *data, size_t bytes)
{
	struct wl_chunk *chunk;
	size_t done = 0;

	/* Nobody removes chunks while we hold recv_mutex. */
	spin_lock(&vfd->lock);
	chunk = list_first_entry(&vfd->chunks, struct wl_chunk, node);
	while (done < bytes) {
		size_t part = min_t(size_t, chunk->len, bytes - done);
		const u8 *from = chunk->data + chunk->off;

		spin_unlock(&vfd->lock);
		if (copy_to_user(data + done, from, part))
			return -EFAULT;
		done += part;
		spin_lock(&vfd->lock);
		chunk = list_next_entry(chunk, node);
	}
	spin_unlock(&vfd->lock);
	return 0;
}

static void wl_consume(struct wl_vfd *vfd, size_t bytes, unsigned int count)
{
	struct wl_chunk *chunk, *next;
	LIST_HEAD(used);
	u32 units = bytes;

	spin_lock(&vfd->lock);
	vfd->bytes -= bytes;
	list_for_each_entry_safe(chunk, next, &vfd->chunks, node) {
		unsigned int part = min_t(size_t, chunk->len, bytes);
		unsigned int vfds = min(chunk->vfd_count, count);

		chunk->vfd_off += vfds;
		chunk->vfd_count -= vfds;
		count -= vfds;
		chunk->off += part;
		chunk->len -= part;
		bytes -= part;
		if (!chunk->len && !chunk->vfd_count) {
			units += chunk->vfd_units;
			list_move_tail(&chunk->node, &used);
		}
		if (!bytes && !count)
			break;
	}
	spin_unlock(&vfd->lock);
	list_for_each_entry_safe(chunk, next, &used, node)
		wl_chunk_free(vfd->dev, chunk);
	wl_vfd_consumed(vfd, units);
}

static void wl_cancel(struct wl_take *take, unsigned int fds, unsigned int files)
{
	while (files)
		wl_file_cancel(take->files[--files]);
	while (fds)
		put_unused_fd(take->fds[--fds]);
}

/* Numbers and files for the VFDs; fewer, if there are no more numbers. */
static int wl_prepare(struct wl_vfd *vfd, struct wl_take *take, size_t len)
{
	unsigned int fds, i, wanted = take->count;
	int err = 0;

	for (fds = 0; fds < wanted; fds++) {
		err = get_unused_fd_flags(O_CLOEXEC);
		if (err < 0)
			break;
		take->fds[fds] = err;
	}
	if (fds < wanted) {
		wl_plan(vfd, take, len, fds, true);
		if (!take->count && !take->bytes)
			return err;
	}
	for (i = 0; i < take->count; i++) {
		take->files[i] = wl_file_new(take->vfds[i]);
		if (IS_ERR(take->files[i])) {
			err = PTR_ERR(take->files[i]);
			wl_cancel(take, take->count, i);
			return err;
		}
	}
	return 0;
}

static int wl_take(struct wl_vfd *vfd, struct wl_take *take, char __user *data,
		   size_t len, s32 __user *fds, u32 __user *out_len)
{
	s32 numbers[WL_MAX_VFDS];
	unsigned int i;
	int err;

	wl_plan(vfd, take, len, WL_MAX_VFDS, fds);
	err = wl_prepare(vfd, take, len);
	if (err)
		return err;
	if (take->bytes)
		err = wl_copy_out(vfd, data, take->bytes);
	for (i = 0; i < WL_MAX_VFDS; i++)
		numbers[i] = i < take->count ? take->fds[i] : -1;
	if (!err && fds && copy_to_user(fds, numbers, sizeof(numbers)))
		err = -EFAULT;
	if (!err && out_len && put_user((u32)take->bytes, out_len))
		err = -EFAULT;
	if (err) {
		wl_cancel(take, take->count, take->count);
		return err;
	}
	wl_consume(vfd, take->bytes, take->count);
	for (i = 0; i < take->count; i++)
		fd_install(take->fds[i], take->files[i]);
	return 0;
}

static ssize_t wl_recv_locked(struct wl_vfd *vfd, struct wl_take *take,
			      char __user *data, size_t len,
			      s32 __user *fds, u32 __user *out_len)
{
	int err;

	if (!wl_readable(vfd, fds) && len)
		return -EAGAIN;
	err = wl_take(vfd, take, data, len, fds, out_len);
	if (err)
		return err;
	if (len && !take->bytes && !take->count && READ_ONCE(vfd->dev->dead))
		return -ENODEV;
	return take->bytes;
}

ssize_t wl_vfd_recv(struct file *file, char __user *data, size_t len,
		    s32 __user *fds, u32 __user *out_len)
{
	struct wl_vfd *vfd = file->private_data;
	struct wl_take *take;
	ssize_t got;
	int err;

	if (vfd->size)
		return -EINVAL;
	len = min_t(size_t, len, INT_MAX);
	take = kmalloc(sizeof(*take), GFP_KERNEL);
	if (!take)
		return -ENOMEM;
	for (;;) {
		got = mutex_lock_interruptible(&vfd->recv_mutex);
		if (got)
			break;
		got = wl_recv_locked(vfd, take, data, len, fds, out_len);
		mutex_unlock(&vfd->recv_mutex);
		if (got != -EAGAIN || (file->f_flags & O_NONBLOCK))
			break;
		err = wait_event_interruptible(vfd->wait, wl_readable(vfd, fds));
		if (err) {
			got = err;
			break;
		}
	}
	kfree(take);
	return got;
}
