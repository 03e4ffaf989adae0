// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program can do with a VFD, beside ioctls.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/version.h>

#include "virtio_wl.h"

/* Mapped by one fault, at addresses that are multiples of it. */
#define WL_FAULT_AROUND		(64 * PAGE_SIZE)

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
	/* As sync files say that they have been signalled. */
	if (vfd->hup && vfd->dev->trans_flags && (vfd->flags & WL_FLAG_FENCE))
		events |= EPOLLIN | EPOLLRDNORM;
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
	u32 size = READ_ONCE(vfd->size);

	if (!size)
		return -ESPIPE;
	return fixed_size_llseek(file, offset, whence, size);
}

/* Where a page of the memory lies in region 0; false behind its end. */
static bool wl_page_offset(struct wl_vfd *vfd, pgoff_t page, u64 *offset)
{
	bool inside;

	spin_lock(&vfd->lock);
	inside = page < PAGE_ALIGN((u64)vfd->size) >> PAGE_SHIFT;
	*offset = vfd->offset + ((u64)page << PAGE_SHIFT);
	spin_unlock(&vfd->lock);
	return inside;
}

/* Maps the page, and such around it as are likely to be wanted next. */
static vm_fault_t wl_map_around(struct vm_fault *vmf, struct wl_vfd *vfd)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long at = vmf->address & PAGE_MASK, end;
	pgoff_t page = vmf->pgoff;
	vm_fault_t ret;
	u64 offset;

	end = min(ALIGN(at + 1, WL_FAULT_AROUND), vma->vm_end);
	do {
		if (!wl_page_offset(vfd, page, &offset))
			return page == vmf->pgoff ? VM_FAULT_SIGBUS : ret;
		ret = vmf_insert_pfn(vma, at, PHYS_PFN(vfd->dev->shm_addr + offset));
		page++;
		at += PAGE_SIZE;
	} while (ret == VM_FAULT_NOPAGE && at < end);
	/* The first is there; of the others none is owed. */
	return page == vmf->pgoff + 1 ? ret : VM_FAULT_NOPAGE;
}

/*
 * A fault for each batch of pages, not all at once in mmap(): when the device
 * goes away, only mappings that are complete can be found and taken away.
 */
static vm_fault_t wl_shared_fault(struct vm_fault *vmf)
{
	struct wl_vfd *vfd = vmf->vma->vm_file->private_data;
	struct wl_dev *dev = vfd->dev;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&dev->map_lock);
	if (!READ_ONCE(dev->dead))
		ret = wl_map_around(vmf, vfd);
	up_read(&dev->map_lock);
	return ret;
}

static const struct vm_operations_struct wl_shared_vm_ops = {
	.fault = wl_shared_fault,
};

/* Private writable mappings get copies of pages, made when first touched. */
static vm_fault_t wl_private_fault(struct vm_fault *vmf)
{
	struct wl_vfd *vfd = vmf->vma->vm_file->private_data;
	struct wl_dev *dev = vfd->dev;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	struct page *page;
	u64 offset;
	void *to;

	page = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);
	if (!page)
		return VM_FAULT_OOM;
	down_read(&dev->map_lock);
	if (!READ_ONCE(dev->dead) && wl_page_offset(vfd, vmf->pgoff, &offset)) {
		to = kmap_local_page(page);
		copy_page(to, dev->shm + offset);
		kunmap_local(to);
		vmf->page = page;
		ret = 0;
	}
	up_read(&dev->map_lock);
	if (ret)
		__free_page(page);
	return ret;
}

static const struct vm_operations_struct wl_private_vm_ops = {
	.fault = wl_private_fault,
};

static void wl_change_flags(struct vm_area_struct *vma, vm_flags_t set,
			    vm_flags_t clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags & ~clear) | set;
#endif
}

static int wl_vfd_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct wl_vfd *vfd = file->private_data;
	struct wl_dev *dev = vfd->dev;
	u64 pages = PAGE_ALIGN((u64)READ_ONCE(vfd->size)) >> PAGE_SHIFT;
	vm_flags_t clear = 0;

	if (!pages)
		return -EACCES;
	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	if (READ_ONCE(dev->dead))
		return -ENODEV;
	if (!(vma->vm_flags & VM_SHARED)) {
		if (vma->vm_flags & VM_WRITE) {
			vma->vm_ops = &wl_private_vm_ops;
			return 0;
		}
		/* Pages of the device cannot become copies later. */
		clear = VM_MAYWRITE;
	}
	vma->vm_ops = &wl_shared_vm_ops;
	wl_change_flags(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP, clear);
	return 0;
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
