/*
 * Accepts connections from other virtual machines, says whose they are, and sends back whatever
 * they send, descriptors too. It takes a compositor's place; any number of clients, none of which
 * can hold up the others.
 *
 * cc accept-loop.c $(pkg-config --cflags --libs virtio-wl) -o accept-loop
 * VIRTIO_WL_DEVICE=vhost-user:/run/device.sock ./accept-loop
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <virtio_wl.h>

#define MAX_CLIENTS 64
/* As many descriptors as one message can have. */
#define MAX_FDS 28

/* The listener, and one for each client. */
static struct pollfd fds[1 + MAX_CLIENTS];
static nfds_t count = 1;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s (%s)\n", what, strerror(errno), virtio_wl_error_detail());
	exit(1);
}

/* Takes one connection: the listener stays readable while there are more. */
static void take(int listener)
{
	struct virtio_wl_peer peer = { .size = sizeof(peer) };
	int client = virtio_wl_accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client < 0) {
		if (errno == EAGAIN)
			return;
		die("cannot accept");
	}
	if (count == 1 + MAX_CLIENTS || virtio_wl_accept_peer(client, &peer) < 0) {
		close(client);
		return;
	}
	/* The host says so, and the client cannot choose it. */
	printf("%s (number %u, colour #%06x)\n", peer.vm_name, peer.vm_id, peer.colour);
	fflush(stdout);
	fds[count].fd = client;
	fds[count++].events = POLLIN;
}

/* Sends back what a client has sent; whether it is to be kept. */
static int serve(int client)
{
	union {
		size_t alignment;
		char space[CMSG_SPACE(sizeof(int) * MAX_FDS)];
	} control;
	char data[4096];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;
	ssize_t got, sent;

	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);
	got = virtio_wl_recvmsg(client, &msg, MSG_CMSG_CLOEXEC);
	if (got <= 0)
		return got < 0 && errno == EAGAIN;
	/* The same message goes back; a client that does not read its answers is given up. */
	iov.iov_len = (size_t)got;
	sent = virtio_wl_sendmsg(client, &msg, MSG_NOSIGNAL);
	for (header = CMSG_FIRSTHDR(&msg); header; header = CMSG_NXTHDR(&msg, header)) {
		size_t at;

		for (at = CMSG_LEN(0); at < header->cmsg_len; at += sizeof(int)) {
			int fd;

			memcpy(&fd, (char *)header + at, sizeof(fd));
			close(fd);
		}
	}
	return sent == got;
}

int main(void)
{
	fds[0].fd = virtio_wl_listen("wl-accept");
	fds[0].events = POLLIN;
	if (fds[0].fd < 0 || virtio_wl_set_nonblock(fds[0].fd, 1) < 0)
		die("cannot listen");
	puts("listening");
	fflush(stdout);
	for (;;) {
		nfds_t i;

		if (poll(fds, count, -1) < 0 && errno != EINTR)
			die("cannot poll");
		for (i = count - 1; i > 0; i--) {
			if (fds[i].revents && !serve(fds[i].fd)) {
				close(fds[i].fd);
				fds[i] = fds[--count];
			}
		}
		if (fds[0].revents)
			take(fds[0].fd);
	}
}
