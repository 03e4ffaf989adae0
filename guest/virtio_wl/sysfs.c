// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/misc/wlN: how much there is of what could leak.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "virtio_wl.h"

static struct wl_dev *wl_of(struct device *device)
{
	struct miscdevice *misc = dev_get_drvdata(device);

	return container_of(misc, struct wl_dev, misc);
}

/* VFDs, those whose close is under way too. */
static ssize_t vfds_show(struct device *device, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&wl_of(device)->vfd_count));
}
static DEVICE_ATTR_RO(vfds);

/* Requests that the device has not answered, or whose sender still looks. */
static ssize_t requests_show(struct device *device, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&wl_of(device)->req_count));
}
static DEVICE_ATTR_RO(requests);

/* Pieces of data and descriptors that nobody has received yet. */
static ssize_t unread_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&wl_of(device)->chunk_count));
}
static DEVICE_ATTR_RO(unread);

static struct attribute *wl_attrs[] = {
	&dev_attr_vfds.attr,
	&dev_attr_requests.attr,
	&dev_attr_unread.attr,
	NULL
};

static const struct attribute_group wl_group = {
	.attrs = wl_attrs,
};

const struct attribute_group *wl_groups[] = {
	&wl_group,
	NULL
};
