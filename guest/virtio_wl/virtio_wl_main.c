// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_wl: Wayland connections, and the memory they need, out of a guest.
 *
 * Probing, features, the memory region, and the end of a device.
 */
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/virtio_config.h>

#include "virtio_wl.h"

static DEFINE_IDA(wl_ida);

void wl_dev_get(struct wl_dev *dev)
{
	kref_get(&dev->kref);
}

static void wl_dev_release(struct kref *kref)
{
	struct wl_dev *dev = container_of(kref, struct wl_dev, kref);

	xa_destroy(&dev->vfds);
	kfree(dev);
}

void wl_dev_put(struct wl_dev *dev)
{
	kref_put(&dev->kref, wl_dev_release);
}

bool wl_memory_ok(struct wl_dev *dev, u64 pfn, u32 size, u64 *offset)
{
	u64 at = pfn << WL_PFN_SHIFT;

	if (!size || pfn > (U64_MAX >> WL_PFN_SHIFT))
		return false;
	if (!dev->use_shmem) {
		/* A page of the guest; none but those of the region will do. */
		if (at < dev->shm_addr)
			return false;
		at -= dev->shm_addr;
	}
	if (offset_in_page(at) || at > dev->shm_len ||
	    PAGE_ALIGN((u64)size) > dev->shm_len - at)
		return false;
	*offset = at;
	return true;
}

static void wl_find_memory(struct wl_dev *dev)
{
	struct virtio_device *vdev = dev->vdev;
	struct virtio_shm_region region;

	if (!virtio_get_shm_region(vdev, &region, WL_SHM_REGION) ||
	    !region.len || offset_in_page(region.addr)) {
		dev_warn(&vdev->dev, "no shared memory region: there is no memory\n");
		return;
	}
	if (!devm_request_mem_region(&vdev->dev, region.addr, region.len,
				     dev_name(&vdev->dev))) {
		dev_warn(&vdev->dev, "shared memory region is in use: there is no memory\n");
		return;
	}
	/* This also says how the pages that programs map are cached. */
	dev->shm = devm_memremap(&vdev->dev, region.addr, region.len, MEMREMAP_WB);
	if (IS_ERR(dev->shm)) {
		dev_warn(&vdev->dev, "shared memory region cannot be mapped: there is no memory\n");
		return;
	}
	dev->shm_addr = region.addr;
	dev->shm_len = region.len;
}

static int wl_find_vqs(struct wl_dev *dev)
{
	struct virtqueue *vqs[2];
	int err;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct virtqueue_info info[] = {
		{ "in", wl_in_callback },
		{ "out", wl_out_callback },
	};

	err = virtio_find_vqs(dev->vdev, ARRAY_SIZE(vqs), vqs, info, NULL);
#else
	vq_callback_t *callbacks[] = { wl_in_callback, wl_out_callback };
	static const char * const names[] = { "in", "out" };

	err = virtio_find_vqs(dev->vdev, ARRAY_SIZE(vqs), vqs, callbacks, names, NULL);
#endif
	if (err)
		return err;
	dev->in_vq = vqs[0];
	dev->out_vq = vqs[1];
	dev->in_size = virtqueue_get_vring_size(dev->in_vq);
	dev->out_size = virtqueue_get_vring_size(dev->out_vq);
	if (dev->out_size < 2) {
		dev->vdev->config->del_vqs(dev->vdev);
		return -EINVAL;
	}
	return 0;
}

/* The first VFD with this id or a higher one, which then is in `id`. */
static struct wl_vfd *wl_next_vfd(struct wl_dev *dev, unsigned long *id)
{
	struct wl_vfd *vfd;

	xa_lock(&dev->vfds);
	vfd = xa_find(&dev->vfds, id, ULONG_MAX, XA_PRESENT);
	if (vfd)
		wl_vfd_get(vfd);
	xa_unlock(&dev->vfds);
	return vfd;
}

static void wl_end_vfds(struct wl_dev *dev)
{
	unsigned long id;
	struct wl_vfd *vfd;

	for (id = 0; (vfd = wl_next_vfd(dev, &id)); id++) {
		wl_vfd_die(vfd);
		wl_vfd_put(vfd);
	}
	for (id = WL_HOST_ID_BIT; (vfd = wl_next_vfd(dev, &id)); id++) {
		/* Announced by the device, and never named in a message. */
		if (!vfd->claimed)
			wl_vfd_forget(vfd);
		wl_vfd_put(vfd);
	}
}

/* Everything fails with ENODEV from here on. Only the first call does it. */
static void wl_dev_stop(struct wl_dev *dev, bool answers)
{
	if (!wl_out_dead(dev))
		return;
	wl_out_quiesce(dev, answers);
	/* Whoever saw a living device has mapped its pages. */
	down_write(&dev->map_lock);
	up_write(&dev->map_lock);
	virtio_reset_device(dev->vdev);
	cancel_work_sync(&dev->work);
	wl_in_drain(dev);
	wl_out_drain(dev);
	/* What was answered, but not finished. */
	queue_work(dev->wq, &dev->work);
	flush_work(&dev->work);
	wl_end_vfds(dev);
}

static void wl_fail_work(struct work_struct *work)
{
	struct wl_dev *dev = container_of(work, struct wl_dev, fail_work);

	if (READ_ONCE(dev->dead))
		return;
	dev_err(&dev->vdev->dev, "the device is broken: giving it up\n");
	wl_dev_stop(dev, false);
}

void wl_dev_fail(struct wl_dev *dev)
{
	schedule_work(&dev->fail_work);
}

/* For good: nothing of the driver runs for this device afterwards. */
static void wl_dev_end(struct wl_dev *dev)
{
	wl_dev_stop(dev, true);
	/* It may be what has stopped the device, and not be through. */
	cancel_work_sync(&dev->fail_work);
	dev->vdev->config->del_vqs(dev->vdev);
	destroy_workqueue(dev->wq);
	ida_free(&wl_ida, dev->index);
}

static void wl_config_changed(struct virtio_device *vdev)
{
	struct wl_dev *dev = vdev->priv;

	if (vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		wl_dev_fail(dev);
}

static struct wl_dev *wl_dev_new(struct virtio_device *vdev)
{
	struct wl_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	kref_init(&dev->kref);
	dev->vdev = vdev;
	spin_lock_init(&dev->in_lock);
	spin_lock_init(&dev->out_lock);
	INIT_LIST_HEAD(&dev->backlog);
	INIT_LIST_HEAD(&dev->reap);
	init_waitqueue_head(&dev->out_wait);
	init_rwsem(&dev->map_lock);
	INIT_WORK(&dev->work, wl_in_work);
	INIT_WORK(&dev->fail_work, wl_fail_work);
	xa_init_flags(&dev->vfds, XA_FLAGS_ALLOC1);
	dev->trans_flags = virtio_has_feature(vdev, WL_F_TRANS_FLAGS);
	dev->use_shmem = virtio_has_feature(vdev, WL_F_USE_SHMEM);
	dev->credit = virtio_has_feature(vdev, WL_F_CREDIT);
	dev->refresh = virtio_has_feature(vdev, WL_F_REFRESH);
	return dev;
}

static int wl_probe(struct virtio_device *vdev)
{
	struct wl_dev *dev = wl_dev_new(vdev);
	int err;

	if (!dev)
		return -ENOMEM;
	vdev->priv = dev;
	dev->index = ida_alloc(&wl_ida, GFP_KERNEL);
	if (dev->index < 0) {
		err = dev->index;
		goto put;
	}
	snprintf(dev->name, sizeof(dev->name), "wl%d", dev->index);
	err = -ENOMEM;
	dev->wq = alloc_ordered_workqueue("virtio_wl/%d", WQ_HIGHPRI, dev->index);
	if (!dev->wq)
		goto free_index;
	wl_find_memory(dev);
	err = wl_find_vqs(dev);
	if (err)
		goto free_wq;
	virtio_device_ready(vdev);
	err = wl_in_fill(dev);
	if (err)
		goto end;

	dev->misc.minor = MISC_DYNAMIC_MINOR;
	dev->misc.name = dev->name;
	dev->misc.fops = &wl_dev_fops;
	dev->misc.parent = &vdev->dev;
	dev->misc.groups = wl_groups;
	err = misc_register(&dev->misc);
	if (err)
		goto end;
	return 0;

end:
	wl_dev_end(dev);
	goto put;
free_wq:
	destroy_workqueue(dev->wq);
free_index:
	ida_free(&wl_ida, dev->index);
put:
	wl_dev_put(dev);
	return err;
}

static void wl_remove(struct virtio_device *vdev)
{
	struct wl_dev *dev = vdev->priv;

	misc_deregister(&dev->misc);
	wl_dev_end(dev);
	/* Open files keep the rest. */
	wl_dev_put(dev);
}

#ifdef CONFIG_PM_SLEEP
/* What the device knows of us would be lost. */
static int wl_freeze(struct virtio_device *vdev)
{
	return -EBUSY;
}
#endif

static const unsigned int wl_features[] = {
	WL_F_TRANS_FLAGS,
	WL_F_SEND_FENCES,
	WL_F_USE_SHMEM,
	WL_F_REFRESH,
	WL_F_CREDIT,
};

static const struct virtio_device_id wl_ids[] = {
	{ WL_VIRTIO_ID, VIRTIO_DEV_ANY_ID },
	{ WL_VIRTIO_ID_LEGACY, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, wl_ids);

static struct virtio_driver wl_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.feature_table = wl_features,
	.feature_table_size = ARRAY_SIZE(wl_features),
	.id_table = wl_ids,
	.probe = wl_probe,
	.remove = wl_remove,
	.config_changed = wl_config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = wl_freeze,
#endif
};

static int __init wl_init(void)
{
	int err = wl_fs_init();

	if (err)
		return err;
	err = register_virtio_driver(&wl_driver);
	if (err)
		wl_fs_exit();
	return err;
}
module_init(wl_init);

static void __exit wl_exit(void)
{
	unregister_virtio_driver(&wl_driver);
	wl_fs_exit();
}
module_exit(wl_exit);

MODULE_DESCRIPTION("virtio_wl: Wayland connections out of a guest");
MODULE_LICENSE("GPL");
