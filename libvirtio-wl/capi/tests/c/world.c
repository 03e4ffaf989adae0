/* The host of a test, and what is tedious about messages. */
#define _GNU_SOURCE
#include "test.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/un.h>

char test_context[64];

_Noreturn void failed(const char *file, int line, const char *what, int error)
{
	fprintf(stderr, "%s:%d: %s: not so (errno %d: %s; \"%s\") %s\n", file, line, what, error,
		strerror(error), virtio_wl_error_detail(), test_context);
	exit(1);
}

static struct sockaddr_un address(const char *variable)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv(variable);

	CHECK(path && strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	return address;
}

static int unix_listen(const char *variable)
{
	struct sockaddr_un where = address(variable);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	unlink(where.sun_path);
	CHECK(bind(fd, (struct sockaddr *)&where, sizeof(where)) == 0);
	CHECK(listen(fd, 128) == 0);
	return fd;
}

static int unix_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

struct pair pair_open(void)
{
	static int listener = -1;
	struct pair pair;

	if (listener < 0)
		listener = unix_listen("HOST_SOCKET");
	pair.guest = virtio_wl_connect("");
	CHECK(pair.guest >= 0);
	pair.host = unix_accept(listener);
	return pair;
}

void pair_close(struct pair pair)
{
	CHECK(close(pair.guest) == 0);
	CHECK(close(pair.host) == 0);
}

struct pair announcer_open(void)
{
	static int listener = -1;
	struct pair pair;

	if (listener < 0)
		listener = unix_listen("ANNOUNCE_SOCKET");
	pair.guest = virtio_wl_listen("wl-accept");
	CHECK(pair.guest >= 0);
	pair.host = unix_accept(listener);
	return pair;
}

void announce_name(int announcer, uint32_t number, const char *name)
{
	/* Offsets as libvirtio-wl/PROTOCOL.md has them; little-endian. */
	unsigned char record[128] = { 1 };
	int i;

	for (i = 0; i < 4; i++)
		record[4 + i] = (unsigned char)(number >> (8 * i));
	memcpy(record + 8, "\x33\x22\x11", 3);
	CHECK(strlen(name) < 32);
	strcpy((char *)record + 16, name);
	sprintf((char *)record + 48, "vm%u", number);
	host_send(announcer, record, sizeof(record), NULL, 0);
}

int announce(int announcer, uint32_t number)
{
	static const char add[] = "{\"add\":{\"name\":\"wl-conn-%d\"}}";
	struct sockaddr_un where = address("CONTROL_SOCKET");
	int control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int sockets[2];
	struct one one;
	char reply[256] = "", name[32];
	char *at;

	CHECK(connect(control, (struct sockaddr *)&where, sizeof(where)) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	one_init(&one, (void *)(uintptr_t)add, strlen(add));
	one_put(&one, &sockets[1], 1);
	CHECK(sendmsg(control, &one.msg, 0) == (ssize_t)strlen(add));
	CHECK(recv(control, reply, sizeof(reply) - 1, 0) > 0);
	at = strstr(reply, "wl-conn-");
	CHECK(at && sscanf(at, "%31[a-z0-9-]", name) == 1);
	close(sockets[1]);
	close(control);
	announce_name(announcer, number, name);
	return sockets[0];
}

void device_signal(int number)
{
	const char *pid = getenv("DEVICE_PID");

	CHECK(pid && kill((pid_t)atol(pid), number) == 0);
}

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	CHECK(dir != NULL);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

void wait_fds(int count)
{
	/* A leak lasts until the starter loses patience; nothing tells of a close. */
	while (count_fds() > count)
		poll(NULL, 0, 1);
}

long limit_fds(int spare)
{
	struct rlimit limit;
	long before;
	int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK(lowest >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
	close(lowest);
	before = (long)limit.rlim_cur;
	limit.rlim_cur = (rlim_t)(lowest + spare);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	return before;
}

void unlimit_fds(long before)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)before;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

void host_send(int host, const void *data, size_t len, const int *fds, int count)
{
	struct one one;

	one_init(&one, (void *)(uintptr_t)data, len);
	if (count)
		one_put(&one, fds, count);
	CHECK(sendmsg(host, &one.msg, MSG_NOSIGNAL) == (ssize_t)len);
}

static int receive(ssize_t (*receiver)(int, struct msghdr *, int), int fd, void *data, size_t len,
		   int *fds)
{
	int count = 0;

	while (len) {
		struct one one;
		ssize_t got;

		one_init(&one, data, len);
		one_room(&one, 253);
		got = receiver(fd, &one.msg, MSG_CMSG_CLOEXEC);
		CHECK(got > 0);
		count += one_take(&one, fds + count);
		data = (char *)data + got;
		len -= (size_t)got;
	}
	return count;
}

int host_recv(int host, void *data, size_t len, int *fds)
{
	return receive(recvmsg, host, data, len, fds);
}

int guest_recv(int guest, void *data, size_t len, int *fds)
{
	return receive(virtio_wl_recvmsg, guest, data, len, fds);
}

void wait_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	CHECK(poll(&poll_fd, 1, -1) == 1);
}

int is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

void one_init(struct one *one, void *data, size_t len)
{
	memset(one, 0, sizeof(*one));
	one->iov.iov_base = data;
	one->iov.iov_len = len;
	one->msg.msg_iov = &one->iov;
	one->msg.msg_iovlen = 1;
}

void one_put(struct one *one, const int *fds, int count)
{
	struct cmsghdr *header = (struct cmsghdr *)(void *)&one->control;

	one->msg.msg_control = &one->control;
	one->msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)count);
}

void one_room(struct one *one, int count)
{
	one->msg.msg_control = &one->control;
	one->msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
}

int one_take(struct one *one, int *fds)
{
	struct cmsghdr *header;
	int count = 0;

	for (header = CMSG_FIRSTHDR(&one->msg); header; header = CMSG_NXTHDR(&one->msg, header)) {
		size_t bytes = header->cmsg_len - CMSG_LEN(0);

		CHECK(header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS);
		memcpy(fds + count, CMSG_DATA(header), bytes);
		count += (int)(bytes / sizeof(int));
	}
	return count;
}
