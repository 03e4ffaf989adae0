/* What holds of every function: NULL, closed descriptors, what is no VFD, errno, the detail. */
#define _GNU_SOURCE
#include "test.h"

#include <pthread.h>

static void versions(void)
{
	CHECK(virtio_wl_version() == VIRTIO_WL_VERSION);
	CHECK(VIRTIO_WL_VERSION
	      == (VIRTIO_WL_VERSION_MAJOR << 16 | VIRTIO_WL_VERSION_MINOR << 8
		  | VIRTIO_WL_VERSION_PATCH));
}

static void null_is_refused(void)
{
	struct sockaddr address;
	struct one one;

	FAILS(virtio_wl_connect(NULL), EFAULT);
	FAILS(virtio_wl_listen(NULL), EFAULT);
	FAILS(virtio_wl_accept4(0, &address, NULL, 0), EFAULT);
	FAILS(virtio_wl_accept_peer(0, NULL), EFAULT);
	FAILS(virtio_wl_memfd_create(NULL, 1, 0), EFAULT);
	FAILS(virtio_wl_send(0, NULL, 1, 0), EFAULT);
	FAILS(virtio_wl_recv(0, NULL, 1, 0), EFAULT);
	FAILS(virtio_wl_sendmsg(0, NULL, 0), EFAULT);
	FAILS(virtio_wl_recvmsg(0, NULL, 0), EFAULT);
	one_init(&one, NULL, 1);
	struct pair pair = pair_open();
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EFAULT);
	FAILS(virtio_wl_recvmsg(pair.guest, &one.msg, MSG_DONTWAIT), EFAULT);
	pair_close(pair);
}

/* All functions that take a descriptor, with one that fails them with `expected`. */
static void descriptor_fails(int fd, int expected)
{
	struct virtio_wl_peer peer = { .size = sizeof(peer) };
	char byte = 'x';
	struct one one;

	one_init(&one, &byte, 1);
	FAILS(virtio_wl_accept4(fd, NULL, NULL, 0), expected);
	FAILS(virtio_wl_accept_peer(fd, &peer), expected);
	FAILS(virtio_wl_send(fd, &byte, 1, 0), expected);
	FAILS(virtio_wl_recv(fd, &byte, 1, 0), expected);
	FAILS(virtio_wl_sendmsg(fd, &one.msg, 0), expected);
	FAILS(virtio_wl_recvmsg(fd, &one.msg, 0), expected);
}

static void closed_descriptors(void)
{
	int fd = dup(0);

	close(fd);
	descriptor_fails(fd, EBADF);
	descriptor_fails(-1, EBADF);
	FAILS(virtio_wl_is_vfd(fd), EBADF);
	FAILS(virtio_wl_is_vfd(-1), EBADF);
	FAILS(virtio_wl_set_nonblock(fd, 1), EBADF);
	FAILS(virtio_wl_mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), EBADF);
}

static void what_is_no_vfd(void)
{
	int sockets[2], pipes[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0 && pipe(pipes) == 0);
	descriptor_fails(sockets[0], ENOTSOCK);
	descriptor_fails(pipes[0], ENOTSOCK);
	CHECK(virtio_wl_is_vfd(sockets[0]) == 0);
	CHECK(virtio_wl_is_vfd(pipes[0]) == 0);
	close(sockets[0]);
	close(sockets[1]);
	close(pipes[0]);
	close(pipes[1]);
}

static void errno_is_left_alone(void)
{
	struct pair pair = pair_open();

	errno = EDOM;
	CHECK(virtio_wl_is_vfd(pair.guest) == 1 && errno == EDOM);
	CHECK(virtio_wl_send(pair.guest, "x", 1, 0) == 1 && errno == EDOM);
	CHECK(virtio_wl_send(pair.guest, NULL, 0, 0) == 0 && errno == EDOM);
	pair_close(pair);
}

static void *no_detail(void *nothing)
{
	CHECK(*virtio_wl_error_detail() == '\0');
	FAILS(virtio_wl_pipe2(99, 0), EINVAL);
	return nothing;
}

static void details_are_of_their_thread(void)
{
	char before[256];
	pthread_t thread;

	FAILS(virtio_wl_connect("no such context"), ENODEV);
	CHECK(strstr(virtio_wl_error_detail(), "no such context"));
	snprintf(before, sizeof(before), "%s", virtio_wl_error_detail());
	CHECK(pthread_create(&thread, NULL, no_detail, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(strcmp(before, virtio_wl_error_detail()) == 0);
	/* A success leaves it, as it leaves errno. */
	CHECK(virtio_wl_is_vfd(0) == 0);
	CHECK(strcmp(before, virtio_wl_error_detail()) == 0);
}

int main(void)
{
	RUN(versions);
	/* First without a device, then with one. */
	RUN(closed_descriptors);
	RUN(what_is_no_vfd);
	RUN(null_is_refused);
	RUN(closed_descriptors);
	RUN(what_is_no_vfd);
	RUN(errno_is_left_alone);
	RUN(details_are_of_their_thread);
	return 0;
}
