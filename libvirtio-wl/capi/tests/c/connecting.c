/* connect and listen, and what the device runs out of. */
#define _GNU_SOURCE
#include "test.h"

#include <sys/resource.h>

/* More than the VFDs a guest can have open. */
#define MANY 2100

static void names(void)
{
	char name[34];

	memset(name, 'n', sizeof(name));
	name[33] = '\0';
	FAILS(virtio_wl_connect(name), EINVAL);
	FAILS(virtio_wl_listen(name), EINVAL);
	FAILS(virtio_wl_connect("\xff"), EINVAL);
	FAILS(virtio_wl_listen("\xff"), EINVAL);
	name[32] = '\0';
	FAILS(virtio_wl_connect(name), ENODEV);
	FAILS(virtio_wl_listen(name), ENODEV);
	CHECK(strstr(virtio_wl_error_detail(), name));
}

static void what_is_returned(void)
{
	struct pair pair = pair_open(), announcer = announcer_open();

	CHECK(fcntl(pair.guest, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(announcer.guest, F_GETFD) == FD_CLOEXEC);
	CHECK(virtio_wl_is_vfd(pair.guest) == 1 && virtio_wl_is_vfd(announcer.guest) == 1);
	CHECK(!is_readable(pair.guest));
	host_send(pair.host, "x", 1, NULL, 0);
	wait_readable(pair.guest);
	pair_close(pair);
	pair_close(announcer);
}

static void nobody_listens(void)
{
	/* pair_open() did, and has been unlinked since. */
	CHECK(unlink(getenv("HOST_SOCKET")) == 0);
	FAILS(virtio_wl_connect(""), ENODEV);
}

static void too_many_descriptors(void)
{
	long limit = limit_fds(0);

	FAILS(virtio_wl_connect("wl-accept"), EMFILE);
	FAILS(virtio_wl_listen("wl-accept"), EMFILE);
	unlimit_fds(limit);
}

/* A message with ordinary memory, which is copied when it is sent: its descriptor. */
static int with_memory(struct one *one, off_t size)
{
	int file = memfd_create("file", MFD_CLOEXEC);

	CHECK(file >= 0 && ftruncate(file, size) == 0);
	one_init(one, "x", 1);
	one_put(one, &file, 1);
	return file;
}

static void too_many_vfds(void)
{
	static int fds[MANY];
	struct pair announcer = announcer_open(), pair = pair_open();
	int waiting = announce(announcer.host, 1), count = 0, file, accepted;
	struct rlimit limit;
	struct one one;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(limit.rlim_max >= 2 * MANY);
	limit.rlim_cur = 2 * MANY;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (count < MANY && (fds[count] = virtio_wl_pipe2(O_WRONLY, 0)) >= 0)
		count++;
	CHECK(count < MANY);
	FAILS(virtio_wl_pipe2(O_WRONLY, 0), ENOSPC);
	FAILS(virtio_wl_memfd_create("", 1, 0), ENOSPC);
	FAILS(virtio_wl_connect("wl-accept"), ENOSPC);
	FAILS(virtio_wl_listen("wl-accept"), ENOSPC);
	FAILS(virtio_wl_accept4(announcer.guest, NULL, NULL, 0), ENOSPC);
	file = with_memory(&one, 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), ENOSPC);
	close(file);
	while (count)
		close(fds[--count]);
	do
		fds[0] = virtio_wl_pipe2(O_WRONLY, 0);
	while (fds[0] < 0 && errno == ENOSPC);
	CHECK(fds[0] >= 0);
	close(fds[0]);
	/* It has been kept. */
	accepted = virtio_wl_accept4(announcer.guest, NULL, NULL, 0);
	CHECK(accepted >= 0);
	close(accepted);
	close(waiting);
	pair_close(pair);
	pair_close(announcer);
}

static void no_room_for_memory(void)
{
	struct pair pair = pair_open();
	int fds[5], count = 0, file;
	struct one one;

	/* The device's region has 4 GiB. */
	while (count < 5 && (fds[count] = virtio_wl_memfd_create("", 0xfffff000, 0)) >= 0)
		count++;
	CHECK(count < 5);
	FAILS(virtio_wl_memfd_create("", 0xfffff000, 0), ENOMEM);
	file = with_memory(&one, 0xfffff000);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), ENOMEM);
	close(file);
	file = with_memory(&one, INT64_C(5) << 30);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EFBIG);
	close(file);
	pair_close(pair);
	while (count)
		close(fds[--count]);
}

int main(void)
{
	RUN(names);
	RUN(what_is_returned);
	RUN(too_many_descriptors);
	RUN(too_many_vfds);
	RUN(no_room_for_memory);
	RUN(nobody_listens);
	return 0;
}
