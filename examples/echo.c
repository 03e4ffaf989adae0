/*
 * Sends a text, and memory that has it too, and prints what comes back: the other half of
 * accept-loop.c.
 *
 * cc echo.c $(pkg-config --cflags --libs virtio-wl) -o echo
 * VIRTIO_WL_DEVICE=vhost-user:/run/device.sock ./echo hello
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <virtio_wl.h>

static void die(const char *what)
{
	fprintf(stderr, "%s: %s (%s)\n", what, strerror(errno), virtio_wl_error_detail());
	exit(1);
}

/* Room for one descriptor, aligned as control data has to be. */
union control {
	size_t alignment;
	char space[CMSG_SPACE(sizeof(int))];
};

static void send_with(int connection, const char *text, size_t len, int fd)
{
	union control control = { 0 };
	struct iovec iov = { (void *)text, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;

	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);
	header = CMSG_FIRSTHDR(&msg);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	/* Waits until all of it has gone, as the connection is in blocking mode. */
	if (virtio_wl_sendmsg(connection, &msg, 0) != (ssize_t)len)
		die("cannot send");
}

/* Receives a text; the descriptor that comes with it, or -1. */
static int receive(int connection, char *text, size_t len)
{
	int fd = -1;

	while (len > 0) {
		union control control;
		struct iovec iov = { text, len };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		struct cmsghdr *header;
		ssize_t got;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		got = virtio_wl_recvmsg(connection, &msg, MSG_CMSG_CLOEXEC);
		if (got < 0)
			die("cannot receive");
		if (got == 0) {
			fputs("the other side hung up\n", stderr);
			exit(1);
		}
		header = CMSG_FIRSTHDR(&msg);
		if (header && header->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(header), sizeof(fd));
		text += got;
		len -= (size_t)got;
	}
	return fd;
}

static char *map(int fd, size_t len, int prot)
{
	char *at = virtio_wl_mmap(NULL, len, prot, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		die("cannot map memory");
	return at;
}

int main(int argc, char **argv)
{
	size_t len = argc == 2 ? strlen(argv[1]) : 0;
	char *text = malloc(len + 1), *at;
	int connection, memory;

	if (len == 0 || !text) {
		fputs("usage: echo TEXT\n", stderr);
		return 2;
	}
	memory = virtio_wl_memfd_create("echo", len, 0);
	if (memory < 0)
		die("cannot allocate memory");
	at = map(memory, len, PROT_READ | PROT_WRITE);
	memcpy(at, argv[1], len);
	virtio_wl_munmap(at, len);
	/* The context without a name is the compositor's. */
	connection = virtio_wl_connect("");
	if (connection < 0)
		die("cannot connect");
	send_with(connection, argv[1], len, memory);
	close(memory);
	memory = receive(connection, text, len);
	if (memory < 0 || memcmp(map(memory, len, PROT_READ), text, len) != 0) {
		fputs("the memory did not come back as it was\n", stderr);
		return 1;
	}
	printf("%.*s\n", (int)len, text);
	close(connection);
	free(text);
	return 0;
}
