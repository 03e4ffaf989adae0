// SPDX-License-Identifier: GPL-2.0-only
/*
 * The size of memory whose owner has made it longer.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "virtio_wl.h"

/*
 * Takes what the device says, unless it is less: answers of calls at the same
 * time may come here in any order. What was mapped shows the same memory.
 */
static int wl_take_size(struct wl_vfd *vfd, struct inode *inode,
			const struct wl_req *req)
{
	const struct wl_msg_new *msg = (const void *)req->resp;
	u32 size = le32_to_cpu(msg->size);
	u64 offset;

	if (le32_to_cpu(msg->hdr.type) != WL_RESP_VFD_NEW ||
	    req->resp_len < WL_NEW_SHORT || le32_to_cpu(msg->id) != vfd->id ||
	    !wl_memory_ok(vfd->dev, le64_to_cpu(msg->pfn), size, &offset))
		return -EPROTO;
	spin_lock(&vfd->lock);
	if (size > vfd->size) {
		vfd->offset = offset;
		WRITE_ONCE(vfd->size, size);
		i_size_write(inode, size);
	}
	spin_unlock(&vfd->lock);
	return 0;
}

long wl_vfd_refresh(struct file *file, u64 __user *user)
{
	struct wl_vfd *vfd = file->private_data;
	struct wl_msg_id *msg;
	struct wl_req *req;
	int err;

	if (!vfd->dev->refresh)
		return -ENOTTY;
	if (!READ_ONCE(vfd->size))
		return -EINVAL;
	req = wl_req_new(WL_REQ_PLAIN, vfd, sizeof(*msg), GFP_KERNEL_ACCOUNT);
	if (!req)
		return -ENOMEM;
	msg = req->buf;
	msg->hdr.type = cpu_to_le32(WL_VFD_REFRESH);
	msg->id = cpu_to_le32(vfd->id);
	err = wl_req_submit(req, file->f_flags & O_NONBLOCK);
	if (!err)
		err = wl_req_wait(req);
	if (!err)
		err = wl_take_size(vfd, file_inode(file), req);
	wl_req_put(req);
	if (err)
		return err;
	return put_user((u64)READ_ONCE(vfd->size), user);
}
