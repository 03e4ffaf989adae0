/* send, sendmsg, recv, recvmsg: every shape, and every way they can fail. */
#define _GNU_SOURCE
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* More than one message of virtio_wl holds. */
#define LARGE 65536

static char large[LARGE], received[LARGE];

static void bytes_go_both_ways(void)
{
	static const size_t sizes[] = { 1, 2, 3967, 3968, 3969, 4096, 40000, LARGE };
	struct pair pair = pair_open();
	size_t i, n;

	for (i = 0; i < sizeof(large); i++)
		large[i] = (char)(i * 7 + i / 256);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		n = sizes[i];
		CHECK(virtio_wl_send(pair.guest, large, n, MSG_NOSIGNAL) == (ssize_t)n);
		CHECK(host_recv(pair.host, received, n, NULL) == 0);
		CHECK(memcmp(large, received, n) == 0);
		memset(received, 0, n);
		host_send(pair.host, large, n, NULL, 0);
		CHECK(virtio_wl_recv(pair.guest, received, n, MSG_WAITALL) == (ssize_t)n);
		CHECK(memcmp(large, received, n) == 0);
		memset(received, 0, n);
	}
	pair_close(pair);
}

static void buffers_are_gathered_and_scattered(void)
{
	struct pair pair = pair_open();
	char a[2] = { 0 }, b[3] = { 0 }, c[8] = { 0 }, all[8] = { 0 };
	struct iovec out[] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 }, { "fg", 2 } };
	struct iovec in[] = { { a, 2 }, { NULL, 0 }, { b, 3 }, { c, 8 } };
	struct msghdr msg = { .msg_iov = out, .msg_iovlen = 4 };

	CHECK(virtio_wl_sendmsg(pair.guest, &msg, 0) == 7);
	CHECK(host_recv(pair.host, all, 7, NULL) == 0 && strcmp(all, "abcdefg") == 0);
	host_send(pair.host, all, 7, NULL, 0);
	wait_readable(pair.guest);
	msg.msg_iov = in;
	msg.msg_flags = -1;
	CHECK(virtio_wl_recvmsg(pair.guest, &msg, 0) == 7 && msg.msg_flags == 0);
	CHECK(memcmp(a, "ab", 2) == 0 && memcmp(b, "cde", 3) == 0 && strcmp(c, "fg") == 0);
	pair_close(pair);
}

static void descriptors_go_with_the_first_byte(void)
{
	struct pair pair = pair_open();
	int fds[MAX_FDS], got[MAX_FDS], i;
	char byte;
	struct one one;

	for (i = 0; i < MAX_FDS; i++) {
		fds[i] = memfd_create("marked", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		CHECK(fds[i] >= 0 && pwrite(fds[i], &i, sizeof(i), 4095) == sizeof(i));
	}
	one_init(&one, large, LARGE);
	one_put(&one, fds, MAX_FDS);
	CHECK(virtio_wl_sendmsg(pair.guest, &one.msg, 0) == LARGE);
	CHECK(host_recv(pair.host, &byte, 1, got) == MAX_FDS);
	for (i = 0; i < MAX_FDS; i++) {
		int mark = -1;

		CHECK(pread(got[i], &mark, sizeof(mark), 4095) == sizeof(mark) && mark == i);
		close(got[i]);
	}
	CHECK(host_recv(pair.host, received, LARGE - 1, NULL) == 0);
	/* And back: as VFDs, in order, closed by execve(2) or not as asked for. */
	for (i = 0; i < 2; i++) {
		int flag = i ? MSG_CMSG_CLOEXEC : 0, n;

		host_send(pair.host, "x", 1, fds, MAX_FDS);
		one_init(&one, &byte, 1);
		one_room(&one, MAX_FDS);
		CHECK(virtio_wl_recvmsg(pair.guest, &one.msg, flag) == 1);
		CHECK((one.msg.msg_flags & ~MSG_CMSG_CLOEXEC) == 0);
		CHECK(one.msg.msg_controllen == CMSG_SPACE(sizeof(int) * MAX_FDS));
		CHECK(one_take(&one, got) == MAX_FDS);
		for (n = 0; n < MAX_FDS; n++) {
			int *mark;

			CHECK(virtio_wl_is_vfd(got[n]) == 1);
			CHECK(fcntl(got[n], F_GETFD) == (i ? FD_CLOEXEC : 0));
			mark = virtio_wl_mmap(NULL, 8192, PROT_READ, MAP_SHARED, got[n], 0);
			CHECK(mark != MAP_FAILED && memcmp((char *)mark + 4095, &n, sizeof(n)) == 0);
			CHECK(virtio_wl_munmap(mark, 8192) == 0);
			close(got[n]);
		}
	}
	for (i = 0; i < MAX_FDS; i++)
		close(fds[i]);
	pair_close(pair);
}

static void no_room_for_descriptors(void)
{
	struct pair pair = pair_open();
	int fds[3], got[3], i, room;
	char byte;
	struct one one;

	for (i = 0; i < 3; i++)
		fds[i] = virtio_wl_memfd_create("", 1, 0);
	/* Sent to ourselves by the host. */
	one_init(&one, "x", 1);
	one_put(&one, fds, 3);
	CHECK(virtio_wl_sendmsg(pair.guest, &one.msg, 0) == 1);
	CHECK(host_recv(pair.host, &byte, 1, got) == 3);
	for (room = 0; room < 3; room++) {
		int kept[2] = { -1, -1 };

		host_send(pair.host, "x", 1, got, 3);
		one_init(&one, &byte, 1);
		if (room)
			one_room(&one, room);
		/* Of CMSG_LEN: CMSG_SPACE would have room for an even number. */
		one.msg.msg_controllen = room ? CMSG_LEN(sizeof(int) * (size_t)room) : 0;
		CHECK(virtio_wl_recvmsg(pair.guest, &one.msg, 0) == 1);
		CHECK(one.msg.msg_flags == MSG_CTRUNC);
		CHECK(one_take(&one, kept) == room);
		close(kept[0]);
		close(kept[1]);
	}
	/* recv(2) has no room at all. */
	host_send(pair.host, "y", 1, got, 3);
	CHECK(virtio_wl_recv(pair.guest, &byte, 1, 0) == 1 && byte == 'y');
	for (i = 0; i < 3; i++) {
		close(fds[i]);
		close(got[i]);
	}
	pair_close(pair);
}

static void files_are_copied(void)
{
	struct pair pair = pair_open();
	int file = memfd_create("keymap", MFD_CLOEXEC | MFD_ALLOW_SEALING), got;
	char byte, text[8] = "";
	struct one one;

	CHECK(write(file, "keymap", 7) == 7);
	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	one_init(&one, "k", 1);
	one_put(&one, &file, 1);
	CHECK(virtio_wl_sendmsg(pair.guest, &one.msg, 0) == 1);
	CHECK(host_recv(pair.host, &byte, 1, &got) == 1);
	CHECK(pread(got, text, 7, 0) == 7 && strcmp(text, "keymap") == 0);
	/* A copy: the receiver cannot change what the sender has. */
	CHECK(pwrite(got, "K", 1, 0) == 1);
	CHECK(pread(file, text, 1, 0) == 1 && *text == 'k');
	close(file);
	close(got);
	pair_close(pair);
}

static void *send_later(void *host)
{
	host_send(*(int *)host, "later", 5, NULL, 0);
	return NULL;
}

static void receiving_waits(void)
{
	struct pair pair = pair_open();
	pthread_t thread;
	char text[6] = "";

	CHECK(pthread_create(&thread, NULL, send_later, &pair.host) == 0);
	CHECK(virtio_wl_recv(pair.guest, text, 5, MSG_WAITALL) == 5 && strcmp(text, "later") == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	pair_close(pair);
}

static void *drain(void *host)
{
	static char data[LARGE];
	int i;

	for (i = 0; i < 32; i++)
		host_recv(*(int *)host, data, LARGE, NULL);
	return NULL;
}

static void sending_waits(void)
{
	struct pair pair = pair_open();
	pthread_t thread;
	int i;

	CHECK(pthread_create(&thread, NULL, drain, &pair.host) == 0);
	for (i = 0; i < 32; i++)
		CHECK(virtio_wl_send(pair.guest, large, LARGE, 0) == LARGE);
	CHECK(pthread_join(thread, NULL) == 0);
	pair_close(pair);
}

/* Sends until there is no room: how much there was. */
static size_t fill(int guest, int flags)
{
	size_t sent = 0;
	ssize_t count;

	while ((count = virtio_wl_send(guest, large, LARGE, flags)) > 0)
		sent += (size_t)count;
	CHECK(count == -1 && errno == EAGAIN);
	return sent;
}

static void nothing_waits_when_told_not_to(void)
{
	struct pair pair = pair_open();
	int twin = dup(pair.guest);
	struct one one;
	char byte;
	size_t sent;

	FAILS(virtio_wl_recv(pair.guest, &byte, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(virtio_wl_set_nonblock(pair.guest, 1) == 0);
	one_init(&one, &byte, 1);
	FAILS(virtio_wl_recv(twin, &byte, 1, 0), EAGAIN);
	FAILS(virtio_wl_recvmsg(twin, &one.msg, MSG_WAITALL), EAGAIN);
	/* As it is, the device would make room as soon as there is none. */
	device_signal(SIGSTOP);
	sent = fill(twin, 0);
	FAILS(virtio_wl_send(pair.guest, large, 1, 0), EAGAIN);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EAGAIN);
	CHECK(virtio_wl_set_nonblock(twin, 0) == 0);
	FAILS(virtio_wl_send(pair.guest, large, 1, MSG_DONTWAIT), EAGAIN);
	device_signal(SIGCONT);
	/* When there is room again, waiting for it has an end. */
	while (sent) {
		size_t count = sent < LARGE ? sent : LARGE;

		host_recv(pair.host, received, count, NULL);
		sent -= count;
	}
	CHECK(virtio_wl_send(pair.guest, "!", 1, 0) == 1);
	host_recv(pair.host, &byte, 1, NULL);
	CHECK(byte == '!');
	close(twin);
	pair_close(pair);
}

static void the_end(void)
{
	struct pair pair = pair_open();
	struct one one;
	char text[4];

	host_send(pair.host, "end", 3, NULL, 0);
	close(pair.host);
	CHECK(virtio_wl_recv(pair.guest, text, 4, MSG_WAITALL) == 3);
	CHECK(virtio_wl_recv(pair.guest, text, 4, 0) == 0);
	CHECK(virtio_wl_recv(pair.guest, text, 4, MSG_DONTWAIT) == 0);
	/* SIGPIPE would end us. */
	FAILS(virtio_wl_send(pair.guest, "x", 1, 0), EPIPE);
	one_init(&one, "x", 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EPIPE);
	close(pair.guest);
}

static void nothing_is_fine(void)
{
	struct pair pair = pair_open();
	struct msghdr msg = { 0 };
	char byte;

	CHECK(virtio_wl_send(pair.guest, NULL, 0, 0) == 0);
	CHECK(virtio_wl_sendmsg(pair.guest, &msg, 0) == 0);
	host_send(pair.host, "x", 1, NULL, 0);
	wait_readable(pair.guest);
	CHECK(virtio_wl_recv(pair.guest, NULL, 0, 0) == 0);
	CHECK(virtio_wl_recvmsg(pair.guest, &msg, 0) == 0);
	CHECK(virtio_wl_recv(pair.guest, &byte, 1, 0) == 1 && byte == 'x');
	pair_close(pair);
}

static void flags_that_cannot_be_had(void)
{
	struct pair pair = pair_open();
	struct one one;
	char byte = 0;

	host_send(pair.host, "x", 1, NULL, 0);
	wait_readable(pair.guest);
	one_init(&one, &byte, 1);
	FAILS(virtio_wl_recvmsg(pair.guest, &one.msg, MSG_PEEK), EOPNOTSUPP);
	FAILS(virtio_wl_recvmsg(pair.guest, &one.msg, MSG_OOB), EOPNOTSUPP);
	FAILS(virtio_wl_recv(pair.guest, &byte, 1, MSG_PEEK), EOPNOTSUPP);
	FAILS(virtio_wl_recv(pair.guest, &byte, 1, MSG_ERRQUEUE), EOPNOTSUPP);
	FAILS(virtio_wl_send(pair.guest, &byte, 1, MSG_OOB), EOPNOTSUPP);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, MSG_OOB), EOPNOTSUPP);
	/* It is still there. */
	CHECK(virtio_wl_recv(pair.guest, &byte, 1, 0) == 1 && byte == 'x');
	pair_close(pair);
}

static void malformed_messages(void)
{
	struct pair pair = pair_open();
	static struct iovec many[1025];
	int fds[MAX_FDS + 1], i, event = eventfd(0, 0);
	struct sockaddr address = { .sa_family = AF_UNIX };
	struct cmsghdr *header;
	struct one one;

	one_init(&one, "x", 1);
	one.msg.msg_iov = many;
	one.msg.msg_iovlen = 1025;
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EMSGSIZE);
	FAILS(virtio_wl_recvmsg(pair.guest, &one.msg, 0), EMSGSIZE);
	one_init(&one, "x", 1);
	one.msg.msg_iov = NULL;
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EFAULT);
	FAILS(virtio_wl_recvmsg(pair.guest, &one.msg, 0), EFAULT);
	one_init(&one, "x", 1);
	one.msg.msg_name = &address;
	one.msg.msg_namelen = sizeof(address);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EISCONN);
	/* Descriptors: too many, one closed, of a wrong kind, without a byte. */
	for (i = 0; i <= MAX_FDS; i++)
		fds[i] = 0;
	fds[0] = virtio_wl_memfd_create("", 1, 0);
	for (i = 1; i <= MAX_FDS; i++)
		fds[i] = fds[0];
	one_init(&one, "x", 1);
	one_put(&one, fds, MAX_FDS + 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EINVAL);
	one_put(&one, &event, 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EINVAL);
	CHECK(strstr(virtio_wl_error_detail(), "anonymous kernel object"));
	one_put(&one, &pair.host, 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EINVAL);
	CHECK(strstr(virtio_wl_error_detail(), "socket"));
	close(event);
	one_put(&one, &event, 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EBADF);
	event = -1;
	one_put(&one, &event, 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EBADF);
	one_init(&one, NULL, 0);
	one_put(&one, fds, 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EINVAL);
	/* Control data: too long, of a kind that does not travel. */
	one_init(&one, "x", 1);
	one_put(&one, fds, 1);
	header = CMSG_FIRSTHDR(&one.msg);
	header->cmsg_len = CMSG_LEN(sizeof(int) * 8);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EINVAL);
	one_put(&one, fds, 1);
	header->cmsg_type = SCM_CREDENTIALS;
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EINVAL);
	/* Nothing of all that has been sent. */
	CHECK(virtio_wl_send(pair.guest, "!", 1, 0) == 1);
	CHECK(host_recv(pair.host, received, 1, NULL) == 0 && *received == '!');
	close(fds[0]);
	pair_close(pair);
}

static void what_bytes_do_not_flow_over(void)
{
	int memory = virtio_wl_memfd_create("", 1, 0);
	struct pair announcer = announcer_open();
	struct one one;
	char byte = 0;

	one_init(&one, &byte, 1);
	FAILS(virtio_wl_send(memory, &byte, 1, 0), ENOTSOCK);
	FAILS(virtio_wl_recv(memory, &byte, 1, 0), ENOTSOCK);
	FAILS(virtio_wl_set_nonblock(memory, 1), ENOTSOCK);
	FAILS(virtio_wl_send(announcer.guest, &byte, 1, 0), ENOTCONN);
	FAILS(virtio_wl_sendmsg(announcer.guest, &one.msg, 0), ENOTCONN);
	FAILS(virtio_wl_recv(announcer.guest, &byte, 1, 0), EINVAL);
	FAILS(virtio_wl_recvmsg(announcer.guest, &one.msg, 0), EINVAL);
	close(memory);
	pair_close(announcer);
}

static void too_many_descriptors(void)
{
	struct pair pair = pair_open();
	int fds[2], file = memfd_create("file", MFD_CLOEXEC);
	struct one one;
	char byte;
	long limit;

	CHECK(pipe2(fds, O_CLOEXEC) == 0 && ftruncate(file, 1) == 0);
	one_init(&one, "x", 1);
	one_put(&one, &fds[1], 1);
	limit = limit_fds(0);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EMFILE);
	unlimit_fds(limit);
	CHECK(virtio_wl_sendmsg(pair.guest, &one.msg, 0) == 1);
	CHECK(host_recv(pair.host, &byte, 1, fds) == 1);
	close(fds[0]);
	close(fds[1]);
	close(file);
	pair_close(pair);
}

int main(void)
{
	int fds;

	RUN(bytes_go_both_ways);
	RUN(files_are_copied);
	fds = count_fds();
	RUN(bytes_go_both_ways);
	RUN(buffers_are_gathered_and_scattered);
	RUN(descriptors_go_with_the_first_byte);
	RUN(no_room_for_descriptors);
	RUN(files_are_copied);
	RUN(receiving_waits);
	RUN(sending_waits);
	RUN(nothing_waits_when_told_not_to);
	RUN(the_end);
	RUN(nothing_is_fine);
	RUN(flags_that_cannot_be_had);
	RUN(malformed_messages);
	wait_fds(fds);
	RUN(what_bytes_do_not_flow_over);
	RUN(too_many_descriptors);
	return 0;
}
