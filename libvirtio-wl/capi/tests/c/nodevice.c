/* No device, then a device, then none any more. */
#define _GNU_SOURCE
#include "test.h"

#include <signal.h>
#include <sys/un.h>

static void device_is(const char *address)
{
	CHECK(setenv("VIRTIO_WL_DEVICE", address, 1) == 0);
}

static void there_is_none(const char *directory)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char address[sizeof(where.sun_path) + 16];

	device_is("vhost-user:");
	FAILS(virtio_wl_connect(""), EINVAL);
	CHECK(strstr(virtio_wl_error_detail(), "empty path"));
	device_is("vhost-user:/nonexistent/socket");
	FAILS(virtio_wl_connect(""), ENOENT);
	FAILS(virtio_wl_listen(""), ENOENT);
	FAILS(virtio_wl_pipe2(O_RDONLY, 0), ENOENT);
	FAILS(virtio_wl_memfd_create("", 1, 0), ENOENT);
	CHECK(strstr(virtio_wl_error_detail(), "/nonexistent/socket"));
	device_is("/nonexistent/wl0");
	FAILS(virtio_wl_connect(""), ENOENT);
	/* A socket that nobody listens on. */
	snprintf(where.sun_path, sizeof(where.sun_path), "%.80s/stale", directory);
	CHECK(bind(listener, (struct sockaddr *)&where, sizeof(where)) == 0);
	snprintf(address, sizeof(address), "vhost-user:%s", where.sun_path);
	device_is(address);
	FAILS(virtio_wl_connect(""), ECONNREFUSED);
	close(listener);
	unlink(where.sun_path);
}

static void it_goes(void)
{
	struct pair pair = pair_open(), announcer = announcer_open();
	char byte = 'x';

	device_signal(SIGKILL);
	wait_readable(pair.guest);
	CHECK(virtio_wl_recv(pair.guest, &byte, 1, 0) <= 0);
	FAILS(virtio_wl_connect(""), ENODEV);
	FAILS(virtio_wl_listen(""), ENODEV);
	FAILS(virtio_wl_pipe2(O_RDONLY, 0), ENODEV);
	FAILS(virtio_wl_memfd_create("", 1, 0), ENODEV);
	FAILS(virtio_wl_send(pair.guest, &byte, 1, 0), EPIPE);
	close(pair.guest);
	close(announcer.guest);
	close(pair.host);
	close(announcer.host);
}

int main(void)
{
	const char *device = getenv("VIRTIO_WL_DEVICE");
	char address[256], directory[256];

	CHECK(device && strlen(device) < sizeof(address));
	strcpy(address, device);
	strcpy(directory, strchr(address, '/'));
	*strrchr(directory, '/') = '\0';
	there_is_none(directory);
	device_is(address);
	it_goes();
	return 0;
}
