/* listen, accept4, accept_peer: who connects, who has gone, and every way they can fail. */
#define _GNU_SOURCE
#include "test.h"

#include <pthread.h>

/* Passes bytes in both directions. */
static void try_it(int guest, int host)
{
	char text[4] = "";

	CHECK(virtio_wl_send(guest, "to", 2, 0) == 2);
	CHECK(host_recv(host, text, 2, NULL) == 0 && strcmp(text, "to") == 0);
	host_send(host, "fro", 3, NULL, 0);
	CHECK(virtio_wl_recv(guest, text, 3, MSG_WAITALL) == 3 && memcmp(text, "fro", 3) == 0);
}

static void each_says_who_it_is(void)
{
	struct pair announcer = announcer_open();
	int hosts[20], i;

	for (i = 0; i < 20; i++)
		hosts[i] = announce(announcer.host, 100 + (uint32_t)i);
	for (i = 0; i < 20; i++) {
		struct virtio_wl_peer peer = { .size = sizeof(peer), .reserved = 7 };
		char name[16];
		int fd, twin;

		wait_readable(announcer.guest);
		fd = virtio_wl_accept4(announcer.guest, NULL, NULL, SOCK_CLOEXEC);
		CHECK(fd >= 0 && virtio_wl_is_vfd(fd) == 1);
		twin = dup(fd);
		CHECK(virtio_wl_accept_peer(twin, &peer) == 0);
		CHECK(peer.size == sizeof(peer) && peer.vm_id == 100 + (uint32_t)i);
		CHECK(peer.colour == 0x112233 && peer.reserved == 0);
		sprintf(name, "vm%d", 100 + i);
		CHECK(strcmp(peer.vm_name, name) == 0);
		try_it(fd, hosts[i]);
		close(fd);
		close(twin);
		close(hosts[i]);
	}
	pair_close(announcer);
}

static void flags_and_addresses(void)
{
	struct pair announcer = announcer_open();
	int i;

	for (i = 0; i < 4; i++) {
		int flags = (i & 1 ? SOCK_CLOEXEC : 0) | (i & 2 ? SOCK_NONBLOCK : 0);
		struct sockaddr_storage address;
		socklen_t len = sizeof(address);
		int host = announce(announcer.host, 1), fd;
		char byte;

		memset(&address, 0x55, sizeof(address));
		/* Not even the family fits, once. */
		if (i == 3)
			len = 1;
		fd = virtio_wl_accept4(announcer.guest, (struct sockaddr *)&address, &len, flags);
		CHECK(fd >= 0 && len == sizeof(sa_family_t));
		CHECK(i == 3 || address.ss_family == AF_UNIX);
		CHECK(((char *)&address)[i == 3 ? 1 : 2] == 0x55);
		CHECK(fcntl(fd, F_GETFD) == (i & 1 ? FD_CLOEXEC : 0));
		if (i & 2)
			FAILS(virtio_wl_recv(fd, &byte, 1, 0), EAGAIN);
		close(fd);
		close(host);
	}
	pair_close(announcer);
}

static void structures_of_other_versions(void)
{
	struct pair announcer = announcer_open(), pair = pair_open();
	int host = announce(announcer.host, 5);
	int fd = virtio_wl_accept4(announcer.guest, NULL, NULL, 0);
	struct {
		struct virtio_wl_peer peer;
		char more[16], behind;
	} later;

	memset(&later, 0x55, sizeof(later));
	later.peer.size = VIRTIO_WL_PEER_SIZE_V1 + sizeof(later.more);
	CHECK(virtio_wl_accept_peer(fd, &later.peer) == 0);
	CHECK(later.peer.size == VIRTIO_WL_PEER_SIZE_V1 + sizeof(later.more));
	CHECK(strcmp(later.peer.vm_name, "vm5") == 0);
	CHECK(later.more[0] == 0 && later.more[15] == 0 && later.behind == 0x55);
	later.peer.size = VIRTIO_WL_PEER_SIZE_V1 - 1;
	FAILS(virtio_wl_accept_peer(fd, &later.peer), EINVAL);
	later.peer.size = 0x55555555;
	FAILS(virtio_wl_accept_peer(fd, &later.peer), EINVAL);
	later.peer.size = sizeof(later.peer);
	FAILS(virtio_wl_accept_peer(pair.guest, &later.peer), ENOTCONN);
	FAILS(virtio_wl_accept_peer(announcer.guest, &later.peer), ENOTCONN);
	close(fd);
	close(host);
	pair_close(pair);
	pair_close(announcer);
}

static void *announce_later(void *announcer)
{
	static int host;

	host = announce(*(int *)announcer, 9);
	return &host;
}

static void accepting_waits(void)
{
	struct pair announcer = announcer_open();
	pthread_t thread;
	void *host;
	int fd;

	CHECK(pthread_create(&thread, NULL, announce_later, &announcer.host) == 0);
	fd = virtio_wl_accept4(announcer.guest, NULL, NULL, 0);
	CHECK(fd >= 0 && pthread_join(thread, &host) == 0);
	try_it(fd, *(int *)host);
	close(*(int *)host);
	close(fd);
	pair_close(announcer);
}

static void those_that_have_gone_are_passed_over(void)
{
	struct pair announcer = announcer_open();
	int host, fd;

	announce_name(announcer.host, 1, "wl-conn-none");
	host = announce(announcer.host, 2);
	fd = virtio_wl_accept4(announcer.guest, NULL, NULL, 0);
	CHECK(fd >= 0);
	try_it(fd, host);
	close(fd);
	close(host);
	pair_close(announcer);
}

static void accepting_fails(void)
{
	struct pair announcer = announcer_open(), pair = pair_open();
	int host, fd;
	long limit;

	CHECK(virtio_wl_set_nonblock(announcer.guest, 1) == 0);
	FAILS(virtio_wl_accept4(announcer.guest, NULL, NULL, 0), EAGAIN);
	FAILS(virtio_wl_accept4(announcer.guest, NULL, NULL, SOCK_STREAM), EINVAL);
	FAILS(virtio_wl_accept4(pair.guest, NULL, NULL, 0), EINVAL);
	/* Kept, until it can be had. */
	host = announce(announcer.host, 3);
	wait_readable(announcer.guest);
	limit = limit_fds(0);
	FAILS(virtio_wl_accept4(announcer.guest, NULL, NULL, 0), EMFILE);
	unlimit_fds(limit);
	fd = virtio_wl_accept4(announcer.guest, NULL, NULL, 0);
	CHECK(fd >= 0);
	try_it(fd, host);
	close(fd);
	close(host);
	/* The host ends it. */
	close(announcer.host);
	wait_readable(announcer.guest);
	FAILS(virtio_wl_accept4(announcer.guest, NULL, NULL, 0), ENOTCONN);
	close(announcer.guest);
	pair_close(pair);
}

int main(void)
{
	int fds;

	RUN(accepting_waits);
	fds = count_fds();
	RUN(each_says_who_it_is);
	RUN(flags_and_addresses);
	RUN(structures_of_other_versions);
	RUN(accepting_waits);
	RUN(those_that_have_gone_are_passed_over);
	RUN(accepting_fails);
	/* A listener of the host, which pair_open() keeps. */
	wait_fds(fds + 1);
	return 0;
}
