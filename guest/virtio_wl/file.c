// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files for VFDs. Each has an inode of its own, so that it can have a size
 * and its mappings can be found again.
 */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "virtio_wl.h"

/* Programs recognise VFDs by what /proc/PID/fd says. */
static const char wl_link[] = "anon_inode:[virtwl_vfd]";

static struct vfsmount *wl_mnt;

static char *wl_dname(struct dentry *dentry, char *buf, int len)
{
	if (len < (int)sizeof(wl_link))
		return ERR_PTR(-ENAMETOOLONG);
	return memcpy(buf + len - sizeof(wl_link), wl_link, sizeof(wl_link));
}

static const struct dentry_operations wl_dops = {
	.d_dname = wl_dname,
};

static int wl_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, ANON_INODE_FS_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->dops = &wl_dops;
	return 0;
}

/* No owner: the mount would keep the module for ever. Files keep it instead. */
static struct file_system_type wl_fs = {
	.name = "virtwl",
	.init_fs_context = wl_init_fs_context,
	.kill_sb = kill_anon_super,
};

int wl_fs_init(void)
{
	wl_mnt = kern_mount(&wl_fs);
	return PTR_ERR_OR_ZERO(wl_mnt);
}

void wl_fs_exit(void)
{
	kern_unmount(wl_mnt);
}

static int wl_open_flags(const struct wl_vfd *vfd)
{
	bool read, write;

	if (vfd->size)
		return O_RDWR;
	if (!vfd->dev->trans_flags && (vfd->flags & WL_FLAG_CONTROL))
		return O_RDWR;
	read = vfd->flags & WL_FLAG_READ;
	write = vfd->flags & WL_FLAG_WRITE;
	if (write)
		return read ? O_RDWR : O_WRONLY;
	return O_RDONLY;
}

struct file *wl_file_new(struct wl_vfd *vfd)
{
	struct inode *inode = alloc_anon_inode(wl_mnt->mnt_sb);
	struct file *file;

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	i_size_write(inode, vfd->size);
	/* Given back by fput(). The caller came through a file of ours. */
	__module_get(THIS_MODULE);
	file = alloc_file_pseudo(inode, wl_mnt, "", wl_open_flags(vfd) | O_CLOEXEC,
				 &wl_vfd_fops);
	if (IS_ERR(file)) {
		iput(inode);
		module_put(THIS_MODULE);
		return file;
	}
	if (vfd->size)
		file->f_mode |= FMODE_LSEEK;
	else
		stream_open(inode, file);
	file->private_data = vfd;
	spin_lock(&vfd->lock);
	vfd->inode = inode;
	spin_unlock(&vfd->lock);
	return file;
}

void wl_file_cancel(struct file *file)
{
	struct wl_vfd *vfd = file->private_data;

	spin_lock(&vfd->lock);
	vfd->inode = NULL;
	spin_unlock(&vfd->lock);
	file->private_data = NULL;
	fput(file);
}
