// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of /dev/wlN and of VFDs.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include <linux/virtwl.h>

#include "virtio_wl.h"

static_assert(sizeof(struct virtwl_ioctl_new) == 48);
static_assert(sizeof(struct virtwl_ioctl_txn) == 116);

/* What the first header has: all up to the size of memory. */
#define WL_NEW_ARG_MIN	offsetofend(struct virtwl_ioctl_new, size)

static int wl_fill_request(struct wl_dev *dev, const struct virtwl_ioctl_new *arg,
			   struct wl_msg_new *msg)
{
	u32 type, flags = 0;

	switch (arg->type) {
	case VIRTWL_IOCTL_NEW_CTX:
		type = WL_VFD_NEW_CTX;
		break;
	case VIRTWL_IOCTL_NEW_CTX_NAMED:
		type = WL_VFD_NEW_CTX_NAMED;
		memcpy(msg->name, arg->name, sizeof(msg->name));
		break;
	case VIRTWL_IOCTL_NEW_ALLOC:
		type = WL_VFD_NEW;
		if (!arg->size || arg->size > (u32)PAGE_MASK)
			return -EINVAL;
		if (!dev->trans_flags)
			flags = WL_FLAG_WRITE | WL_FLAG_MAP;
		msg->size = cpu_to_le32(PAGE_ALIGN(arg->size));
		break;
	case VIRTWL_IOCTL_NEW_PIPE_READ:
		type = WL_VFD_NEW_PIPE;
		flags = WL_FLAG_READ;
		break;
	case VIRTWL_IOCTL_NEW_PIPE_WRITE:
		type = WL_VFD_NEW_PIPE;
		flags = WL_FLAG_WRITE;
		break;
	case VIRTWL_IOCTL_NEW_DMABUF:
		type = WL_VFD_NEW_DMABUF;
		msg->dmabuf.width = cpu_to_le32(arg->dmabuf.width);
		msg->dmabuf.height = cpu_to_le32(arg->dmabuf.height);
		msg->dmabuf.format = cpu_to_le32(arg->dmabuf.format);
		break;
	default:
		return -EINVAL;
	}
	msg->hdr.type = cpu_to_le32(type);
	msg->flags = cpu_to_le32(flags);
	return 0;
}

/* Fills in what the device says of a new VFD. */
static int wl_take_response(struct wl_vfd *vfd, const struct wl_req *req,
			    struct virtwl_ioctl_new *arg)
{
	const struct wl_msg_new *msg = (const void *)req->resp;
	u32 type = le32_to_cpu(msg->hdr.type);
	u32 size = le32_to_cpu(msg->size);
	u64 pfn = le64_to_cpu(msg->pfn);
	bool dmabuf = arg->type == VIRTWL_IOCTL_NEW_DMABUF;

	if (type != (dmabuf ? WL_RESP_VFD_NEW_DMABUF : WL_RESP_VFD_NEW) ||
	    req->resp_len < (dmabuf ? sizeof(*msg) : WL_NEW_SHORT) ||
	    le32_to_cpu(msg->id) != vfd->id)
		return -EPROTO;
	vfd->flags = le32_to_cpu(msg->flags);
	switch (arg->type) {
	case VIRTWL_IOCTL_NEW_ALLOC:
	case VIRTWL_IOCTL_NEW_DMABUF:
		if (!wl_memory_ok(vfd->dev, pfn, size, &vfd->offset))
			return -EPROTO;
		vfd->size = size;
		break;
	case VIRTWL_IOCTL_NEW_PIPE_READ:
		/* Old devices answer 0, and mean what was asked for. */
		vfd->flags = WL_FLAG_READ;
		break;
	case VIRTWL_IOCTL_NEW_PIPE_WRITE:
		vfd->flags = WL_FLAG_WRITE;
		break;
	default:
		/* A connection can do both, whatever an old device says. */
		vfd->flags |= WL_FLAG_READ | WL_FLAG_WRITE;
		break;
	}
	if (dmabuf) {
		arg->dmabuf.width = le32_to_cpu(msg->dmabuf.width);
		arg->dmabuf.height = le32_to_cpu(msg->dmabuf.height);
		arg->dmabuf.format = le32_to_cpu(msg->dmabuf.format);
		arg->dmabuf.stride0 = le32_to_cpu(msg->dmabuf.stride[0]);
		arg->dmabuf.stride1 = le32_to_cpu(msg->dmabuf.stride[1]);
		arg->dmabuf.stride2 = le32_to_cpu(msg->dmabuf.stride[2]);
		arg->dmabuf.offset0 = le32_to_cpu(msg->dmabuf.offset[0]);
		arg->dmabuf.offset1 = le32_to_cpu(msg->dmabuf.offset[1]);
		arg->dmabuf.offset2 = le32_to_cpu(msg->dmabuf.offset[2]);
	} else if (arg->type == VIRTWL_IOCTL_NEW_ALLOC) {
		arg->size = size;
	}
	return 0;
}

/* The lowest free id. Waits for those that are being given free, for no others. */
static int wl_alloc_id(struct wl_vfd *vfd, bool nonblock)
{
	struct wl_dev *dev = vfd->dev;
	int err;

	for (;;) {
		int freed = atomic_read(&dev->freed);
		bool closing = atomic_read(&dev->closing);

		err = xa_alloc(&dev->vfds, &vfd->id, vfd,
			       XA_LIMIT(WL_GUEST_ID_MIN, WL_GUEST_ID_MAX), GFP_KERNEL);
		if (err != -EBUSY)
			return err;
		if (!closing)
			return -ENOSPC;
		if (nonblock)
			return -EAGAIN;
		err = wait_event_interruptible(dev->out_wait,
					       atomic_read(&dev->freed) != freed);
		if (err)
			return err;
	}
}

/* A VFD with its id. */
static struct wl_vfd *wl_new_vfd(struct wl_dev *dev, bool nonblock)
{
	struct wl_vfd *vfd = wl_vfd_new(dev, GFP_KERNEL);
	int err;

	if (!vfd)
		return ERR_PTR(-ENOMEM);
	err = wl_alloc_id(vfd, nonblock);
	if (err) {
		wl_vfd_put(vfd);
		return ERR_PTR(err);
	}
	return vfd;
}

/* The device's part; the VFD exists there on success. */
static struct wl_vfd *wl_create(struct wl_dev *dev, struct virtwl_ioctl_new *arg,
				bool nonblock)
{
	struct wl_msg_new *msg;
	struct wl_req *req;
	struct wl_vfd *vfd;
	int err;

	vfd = wl_new_vfd(dev, nonblock);
	if (IS_ERR(vfd))
		return vfd;
	req = wl_req_new(WL_REQ_CREATE, vfd, sizeof(*msg), GFP_KERNEL_ACCOUNT);
	if (!req) {
		wl_vfd_forget(vfd);
		return ERR_PTR(-ENOMEM);
	}
	msg = req->buf;
	msg->id = cpu_to_le32(vfd->id);
	err = wl_fill_request(dev, arg, msg);
	if (!err)
		err = wl_req_submit(req, nonblock);
	if (err) {
		wl_vfd_forget(vfd);
		goto out;
	}
	err = wl_req_wait(req);
	if (err == -ERESTARTSYS) {
		/* What comes of it is closed again. */
		if (wl_req_abandon(req))
			goto out;
		err = req->status;
	}
	if (err) {
		wl_vfd_forget(vfd);
		goto out;
	}
	err = wl_take_response(vfd, req, arg);
	if (err)
		wl_vfd_close(vfd);
out:
	wl_req_put(req);
	return err ? ERR_PTR(err) : vfd;
}

static int wl_new(struct file *dev_file, void __user *user, size_t size)
{
	struct wl_dev *dev = dev_file->private_data;
	struct virtwl_ioctl_new arg = {};
	struct wl_vfd *vfd;
	struct file *file;
	int fd;

	size = min(size, sizeof(arg));
	if (copy_from_user(&arg, user, size))
		return -EFAULT;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	vfd = wl_create(dev, &arg, dev_file->f_flags & O_NONBLOCK);
	if (IS_ERR(vfd)) {
		put_unused_fd(fd);
		return PTR_ERR(vfd);
	}
	file = wl_file_new(vfd);
	if (IS_ERR(file)) {
		wl_vfd_close(vfd);
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	arg.fd = fd;
	if (copy_to_user(user, &arg, size)) {
		fput(file);
		put_unused_fd(fd);
		return -EFAULT;
	}
	fd_install(fd, file);
	return 0;
}

static long wl_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	/* Older headers have a shorter argument, and so another number. */
	if (_IOC_TYPE(cmd) != VIRTWL_IOCTL_BASE ||
	    _IOC_NR(cmd) != _IOC_NR(VIRTWL_IOCTL_NEW) ||
	    _IOC_SIZE(cmd) < WL_NEW_ARG_MIN)
		return -ENOTTY;
	return wl_new(file, (void __user *)arg, _IOC_SIZE(cmd));
}

static int wl_dmabuf_sync(struct file *file, void __user *user)
{
	struct wl_vfd *vfd = file->private_data;
	struct virtwl_ioctl_dmabuf_sync arg;
	struct wl_msg_id_arg *msg;
	struct wl_req *req;
	int err;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	req = wl_req_new(WL_REQ_PLAIN, vfd, sizeof(*msg), GFP_KERNEL_ACCOUNT);
	if (!req)
		return -ENOMEM;
	msg = req->buf;
	msg->hdr.type = cpu_to_le32(WL_VFD_DMABUF_SYNC);
	msg->id = cpu_to_le32(vfd->id);
	msg->arg = cpu_to_le32(arg.flags);
	err = wl_req_submit(req, file->f_flags & O_NONBLOCK);
	if (!err) {
		/* What the device thinks of it has never been told. */
		err = wl_req_wait(req);
		if (err != -ERESTARTSYS)
			err = 0;
	}
	wl_req_put(req);
	return err;
}

static long wl_txn(struct file *file, bool send, struct virtwl_ioctl_txn __user *user)
{
	s32 fds[WL_MAX_VFDS];
	ssize_t done;
	u32 len;

	if (get_user(len, &user->len))
		return -EFAULT;
	if (send) {
		if (copy_from_user(fds, user->fds, sizeof(fds)))
			return -EFAULT;
		done = wl_vfd_send(file, user->data, len, fds);
	} else {
		done = wl_vfd_recv(file, user->data, len, user->fds, &user->len);
	}
	return done < 0 ? done : 0;
}

long wl_vfd_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case VIRTWL_IOCTL_SEND:
		return wl_txn(file, true, user);
	case VIRTWL_IOCTL_RECV:
		return wl_txn(file, false, user);
	case VIRTWL_IOCTL_DMABUF_SYNC:
		return wl_dmabuf_sync(file, user);
	case VIRTWL_IOCTL_REFRESH:
		return wl_vfd_refresh(file, user);
	default:
		return -ENOTTY;
	}
}

static int wl_dev_open(struct inode *inode, struct file *file)
{
	struct wl_dev *dev = container_of(file->private_data, struct wl_dev, misc);

	/* Safe: misc_deregister() waits for opens under way. */
	wl_dev_get(dev);
	file->private_data = dev;
	return 0;
}

static int wl_dev_release(struct inode *inode, struct file *file)
{
	wl_dev_put(file->private_data);
	return 0;
}

const struct file_operations wl_dev_fops = {
	.owner = THIS_MODULE,
	.open = wl_dev_open,
	.release = wl_dev_release,
	.unlocked_ioctl = wl_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
