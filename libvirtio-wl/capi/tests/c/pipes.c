/* pipe2, and pipes that the host sends. */
#define _GNU_SOURCE
#include "test.h"

#include <pthread.h>

/* Passes the other end of a pipe to the host, and says what it gets. */
static int pass(struct pair pair, int pipe)
{
	struct one one;
	char byte;
	int got;

	one_init(&one, "p", 1);
	one_put(&one, &pipe, 1);
	CHECK(virtio_wl_sendmsg(pair.guest, &one.msg, 0) == 1);
	CHECK(host_recv(pair.host, &byte, 1, &got) == 1 && byte == 'p');
	return got;
}

/* Takes a pipe that the host passes. */
static int take(struct pair pair, int pipe)
{
	char byte;
	int got;

	host_send(pair.host, "t", 1, &pipe, 1);
	CHECK(guest_recv(pair.guest, &byte, 1, &got) == 1 && virtio_wl_is_vfd(got) == 1);
	return got;
}

static void write_to_the_host(struct pair pair)
{
	int pipe = virtio_wl_pipe2(O_WRONLY, O_CLOEXEC), theirs;
	char text[8] = "", byte;

	CHECK(pipe >= 0 && fcntl(pipe, F_GETFD) == FD_CLOEXEC && virtio_wl_is_vfd(pipe) == 1);
	theirs = pass(pair, pipe);
	CHECK(virtio_wl_send(pipe, "clip", 4, 0) == 4);
	wait_readable(theirs);
	CHECK(read(theirs, text, sizeof(text)) == 4 && memcmp(text, "clip", 4) == 0);
	FAILS(virtio_wl_recv(pipe, &byte, 1, MSG_DONTWAIT), EBADF);
	close(pipe);
	wait_readable(theirs);
	CHECK(read(theirs, text, sizeof(text)) == 0);
	close(theirs);
}

static void read_from_the_host(struct pair pair)
{
	int pipe = virtio_wl_pipe2(O_RDONLY, 0), theirs;
	char text[8] = "";

	CHECK(pipe >= 0 && fcntl(pipe, F_GETFD) == 0);
	theirs = pass(pair, pipe);
	CHECK(write(theirs, "clip", 4) == 4);
	CHECK(virtio_wl_recv(pipe, text, 4, MSG_WAITALL) == 4 && strcmp(text, "clip") == 0);
	FAILS(virtio_wl_send(pipe, "x", 1, 0), EBADF);
	close(theirs);
	CHECK(virtio_wl_recv(pipe, text, 1, 0) == 0);
	close(pipe);
}

static void nobody_reads(struct pair pair)
{
	int pipe = virtio_wl_pipe2(O_WRONLY, O_NONBLOCK), theirs = pass(pair, pipe);
	ssize_t count;

	close(theirs);
	do
		count = virtio_wl_send(pipe, "x", 1, 0);
	while (count == 1 || (count == -1 && errno == EAGAIN));
	CHECK(count == -1 && errno == EPIPE);
	close(pipe);
}

static void pipes_of_the_host(struct pair pair)
{
	int ends[2], ours;
	char text[8] = "";

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	ours = take(pair, ends[1]);
	close(ends[1]);
	CHECK(virtio_wl_send(ours, "paste", 5, 0) == 5);
	wait_readable(ends[0]);
	CHECK(read(ends[0], text, sizeof(text)) == 5 && strcmp(text, "paste") == 0);
	close(ours);
	CHECK(read(ends[0], text, sizeof(text)) == 0);
	close(ends[0]);

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	ours = take(pair, ends[0]);
	close(ends[0]);
	CHECK(write(ends[1], "drag", 4) == 4);
	CHECK(virtio_wl_recv(ours, text, 4, MSG_WAITALL) == 4 && memcmp(text, "drag", 4) == 0);
	close(ends[1]);
	CHECK(virtio_wl_recv(ours, text, 1, 0) == 0);
	close(ours);
}

static void ordinary_pipes_are_carried(struct pair pair)
{
	int ends[2], theirs;
	char text[8] = "";

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	theirs = pass(pair, ends[1]);
	close(ends[1]);
	CHECK(write(theirs, "carry", 5) == 5);
	CHECK(read(ends[0], text, sizeof(text)) == 5 && strcmp(text, "carry") == 0);
	close(theirs);
	CHECK(read(ends[0], text, sizeof(text)) == 0);
	close(ends[0]);
}

static void non_blocking(struct pair pair)
{
	int pipe = virtio_wl_pipe2(O_RDONLY, O_NONBLOCK), theirs;
	char byte;

	theirs = pass(pair, pipe);
	FAILS(virtio_wl_recv(pipe, &byte, 1, 0), EAGAIN);
	CHECK(virtio_wl_set_nonblock(pipe, 0) == 0);
	CHECK(write(theirs, "x", 1) == 1);
	CHECK(virtio_wl_recv(pipe, &byte, 1, 0) == 1 && byte == 'x');
	close(theirs);
	close(pipe);
}

static void creating_fails(struct pair pair)
{
	int pipe = virtio_wl_pipe2(O_WRONLY, 0);
	struct one one;
	long limit;

	FAILS(virtio_wl_pipe2(O_RDWR, 0), EINVAL);
	FAILS(virtio_wl_pipe2(O_RDONLY, O_APPEND), EINVAL);
	limit = limit_fds(0);
	FAILS(virtio_wl_pipe2(O_RDONLY, 0), EMFILE);
	unlimit_fds(limit);
	/* A pipe carries no descriptors. */
	one_init(&one, "x", 1);
	one_put(&one, &pipe, 1);
	FAILS(virtio_wl_sendmsg(pipe, &one.msg, 0), EINVAL);
	(void)pair;
	close(pipe);
}

int main(void)
{
	struct pair pair = pair_open();
	int fds;

	write_to_the_host(pair);
	ordinary_pipes_are_carried(pair);
	fds = count_fds();
#define RUN_WITH(test) (puts(#test), fflush(stdout), test(pair))
	RUN_WITH(write_to_the_host);
	RUN_WITH(read_from_the_host);
	RUN_WITH(nobody_reads);
	RUN_WITH(pipes_of_the_host);
	RUN_WITH(ordinary_pipes_are_carried);
	RUN_WITH(non_blocking);
	RUN_WITH(creating_fails);
	wait_fds(fds);
	pair_close(pair);
	return 0;
}
