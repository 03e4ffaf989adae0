// SPDX-License-Identifier: GPL-2.0-only
/*
 * SEND and write(2).
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "virtio_wl.h"

/* A page for each descriptor but one is what every device reads. */
size_t wl_send_max(struct wl_dev *dev, unsigned int vfds)
{
	return (size_t)(dev->out_size - 1) * PAGE_SIZE -
	       sizeof(struct wl_msg_data) - vfds * sizeof(__le32);
}

static int wl_send_files(struct wl_dev *dev, const s32 *fds,
			 struct file **files, unsigned int *count)
{
	for (*count = 0; *count < WL_MAX_VFDS && fds[*count] >= 0; ++*count) {
		struct file *file = fget(fds[*count]);
		struct wl_vfd *vfd;

		if (!file)
			return -EBADFD;
		files[*count] = file;
		vfd = file->private_data;
		if (file->f_op != &wl_vfd_fops || vfd->dev != dev) {
			++*count;
			return -EINVAL;
		}
	}
	return 0;
}

static int wl_send_error(struct wl_vfd *vfd)
{
	struct wl_dev *dev = vfd->dev;
	int err;

	spin_lock_irq(&dev->out_lock);
	err = vfd->send_err;
	vfd->send_err = 0;
	spin_unlock_irq(&dev->out_lock);
	return err;
}

/*
 * The message is on its way: a caller who leaves, because of a signal or
 * because it must not block, has sent it. A failure is then that of the next
 * SEND. Without CREDIT devices answer at once, and O_NONBLOCK waits for that.
 */
static int wl_send_wait(struct wl_req *req, bool nonblock)
{
	int err = -ERESTARTSYS;

	if (!nonblock || !req->vfd->dev->credit)
		err = wl_req_wait(req);
	if (err == -ERESTARTSYS)
		err = wl_req_abandon(req) ? 0 : req->status;
	return err;
}

ssize_t wl_vfd_send(struct file *file, const char __user *data, size_t len,
		    const s32 *fds)
{
	struct wl_vfd *vfd = file->private_data;
	bool nonblock = file->f_flags & O_NONBLOCK;
	struct file *files[WL_MAX_VFDS];
	struct wl_msg_data *msg;
	struct wl_req *req;
	unsigned int i, count = 0;
	int err = 0;

	if (fds)
		err = wl_send_files(vfd->dev, fds, files, &count);
	if (err || (!len && !count))
		goto out;
	err = wl_send_error(vfd);
	if (err)
		goto out;
	err = -EMSGSIZE;
	if (len > wl_send_max(vfd->dev, count))
		goto out;
	err = -ENOMEM;
	req = wl_req_new(WL_REQ_SEND, vfd, struct_size(msg, ids, count) + len,
			 GFP_KERNEL_ACCOUNT);
	if (!req)
		goto out;
	req->data_bytes = len;
	msg = req->buf;
	msg->hdr.type = cpu_to_le32(WL_VFD_SEND);
	msg->id = cpu_to_le32(vfd->id);
	msg->count = cpu_to_le32(count);
	for (i = 0; i < count; i++) {
		const struct wl_vfd *sent = files[i]->private_data;

		msg->ids[i] = cpu_to_le32(sent->id);
	}
	err = -EFAULT;
	if (!copy_from_user(&msg->ids[count], data, len)) {
		err = wl_req_submit(req, nonblock);
		if (!err)
			err = wl_send_wait(req, nonblock);
	}
	wl_req_put(req);
out:
	for (i = 0; i < count; i++)
		fput(files[i]);
	return err ? err : len;
}
