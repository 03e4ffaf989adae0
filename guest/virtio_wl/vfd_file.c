// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program can do with a VFD, beside ioctls.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/version.h>

#include "virtio_wl.h"

static int wl_vfd_file_release(struct inode *inode, struct file *file)
{
	struct wl_vfd *vfd = file->private_data;

	if (!vfd)
		return 0;
	spin_lock(&vfd->lock);
	vfd->inode = NULL;
	spin_unlock(&vfd->lock);
	wl_vfd_close(vfd);
	return 0;
}

static __poll_t wl_vfd_poll(struct file *file, poll_table *table)
{
	struct wl_vfd *vfd = file->private_data;
	__poll_t events = 0;

	poll_wait(file, &vfd->wait, table);
	poll_wait(file, &vfd->dev->out_wait, table);
	spin_lock(&vfd->lock);
	if (!list_empty(&vfd->chunks))
		events |= EPOLLIN | EPOLLRDNORM;
	if (vfd->hup)
		events |= EPOLLHUP;
	spin_unlock(&vfd->lock);
	if ((poll_requested_events(table) & (EPOLLOUT | EPOLLWRNORM)) &&
	    wl_may_send(vfd))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static ssize_t wl_vfd_read(struct file *file, char __user *data, size_t len,
			   loff_t *pos)
{
	return wl_vfd_recv(file, data, len, NULL, NULL);
}

static ssize_t wl_vfd_write(struct file *file, const char __user *data,
			    size_t len, loff_t *pos)
{
	struct wl_vfd *vfd = file->private_data;

	/* A stream: of what never fits, the caller sends the rest itself. */
	return wl_vfd_send(file, data, min(len, wl_send_max(vfd->dev, 0)), NULL);
}

static loff_t wl_vfd_llseek(struct file *file, loff_t offset, int whence)
{
	struct wl_vfd *vfd = file->private_data;

	if (!vfd->size)
		return -ESPIPE;
	return fixed_size_llseek(file, offset, whence, vfd->size);
}

/* No fault handler: what was taken away by wl_vfd_die() is SIGBUS. */
static const struct vm_operations_struct wl_shared_vm_ops = {};

/*
 * Private writable mappings get copies of pages, made when first touched: on
 * x86, fork() fails with a mapping of device memory that has been written to.
 */
static vm_fault_t wl_private_fault(struct vm_fault *vmf)
{
	struct wl_vfd *vfd = vmf->vma->vm_file->private_data;
	struct wl_dev *dev = vfd->dev;
	u64 offset = (u64)vmf->pgoff << PAGE_SHIFT;
	struct page *page;
	void *from, *to;

	if (READ_ONCE(dev->dead) || offset >= vfd->size)
		return VM_FAULT_SIGBUS;
	page = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);
	if (!page)
		return VM_FAULT_OOM;
	from = memremap(dev->shm_addr + vfd->offset + offset, PAGE_SIZE, MEMREMAP_WB);
	if (!from) {
		__free_page(page);
		return VM_FAULT_SIGBUS;
	}
	to = kmap_local_page(page);
	copy_page(to, from);
	kunmap_local(to);
	memunmap(from);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct wl_private_vm_ops = {
	.fault = wl_private_fault,
};

static void wl_never_writable(struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_clear(vma, VM_MAYWRITE);
#else
	vma->vm_flags &= ~VM_MAYWRITE;
#endif
}

static int wl_vfd_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct wl_vfd *vfd = file->private_data;
	struct wl_dev *dev = vfd->dev;
	u64 len = vma->vm_end - vma->vm_start;
	u64 size = PAGE_ALIGN((u64)vfd->size);
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;

	if (!vfd->size)
		return -EACCES;
	if (vma->vm_pgoff > (size >> PAGE_SHIFT) || len > size - offset)
		return -EINVAL;
	if (READ_ONCE(dev->dead))
		return -ENODEV;
	if (!(vma->vm_flags & VM_SHARED)) {
		if (vma->vm_flags & VM_WRITE) {
			vma->vm_ops = &wl_private_vm_ops;
			return 0;
		}
		wl_never_writable(vma);
	}
	vma->vm_ops = &wl_shared_vm_ops;
	return remap_pfn_range(vma, vma->vm_start,
			       (dev->shm_addr + vfd->offset + offset) >> PAGE_SHIFT,
			       len, vma->vm_page_prot);
}

const struct file_operations wl_vfd_fops = {
	.owner = THIS_MODULE,
	.release = wl_vfd_file_release,
	.poll = wl_vfd_poll,
	.read = wl_vfd_read,
	.write = wl_vfd_write,
	.llseek = wl_vfd_llseek,
	.mmap = wl_vfd_mmap,
	.unlocked_ioctl = wl_vfd_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
