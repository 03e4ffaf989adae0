/*
 * The same random calls on a pair of Unix sockets and on a VFD: everything they report is compared.
 *
 * differential [STEPS [SEED]]. What may differ is written in twins.h.
 */
#define _GNU_SOURCE
#include "twins.h"

#include <poll.h>
#include <signal.h>

#define MAX_SIZE 65536
/*
 * Memory to be sent: ordinary files of the far ends, ordinary files of the near ends, and VFDs. A file
 * that the host has shared is a VFD to the guest, so what both sent would be both at once here.
 */
#define POOL 8

static struct twins twins;
static char data[MAX_SIZE], other[MAX_SIZE];
static int pool[3 * POOL];
static struct {
	unsigned long sends, refusals, receipts, truncations, empties, fds, ends, fills, shorter;
	unsigned long long bytes;
} count;

/* A size: often small or at an edge of something, up to 64 KiB. */
static size_t size(void)
{
	static const uint32_t edges[] = { 0, 1, 2, 3967, 3968, 3969, 4095, 4096, 7936, 65535, 65536 };

	switch (random_below(4)) {
	case 0:
		return edges[random_below(sizeof(edges) / sizeof(*edges))];
	case 1:
		return random_below(MAX_SIZE + 1);
	default:
		return random_below(200);
	}
}

/* How many descriptors: mostly none. */
static int descriptors(void)
{
	return random_below(3) ? 0 : (int)random_below(MAX_FDS + 1);
}

/* Control data of one SCM_RIGHTS message, or of two. */
static void put_control(struct one *one, const int *fds, int number)
{
	struct cmsghdr *header;
	int first = number && random_below(3) == 0 ? (int)random_below((uint32_t)number) : number;

	memset(&one->control, 0, sizeof(one->control));
	if (!number && random_below(2))
		return;
	one->msg.msg_control = &one->control;
	one->msg.msg_controllen = sizeof(one->control);
	header = CMSG_FIRSTHDR(&one->msg);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)first);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)first);
	one->msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)first);
	if (first == number) {
		/* The last one need not be padded. */
		if (random_below(2))
			one->msg.msg_controllen = header->cmsg_len;
		return;
	}
	header = (struct cmsghdr *)(void *)(one->control.space + one->msg.msg_controllen);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)(number - first));
	memcpy(CMSG_DATA(header), fds + first, sizeof(int) * (size_t)(number - first));
	one->msg.msg_controllen += CMSG_SPACE(sizeof(int) * (size_t)(number - first));
}

/* Sends all that is left of a message, waiting: rule 1. */
static void send_rest(int twin, const char *rest, size_t len)
{
	struct one one;

	count.shorter++;
	while (len) {
		ssize_t sent;

		one_init(&one, (void *)(uintptr_t)rest, len);
		sent = calls_of[twin].sendmsg(twins.near[twin], &one.msg, MSG_NOSIGNAL);
		CHECK(sent > 0);
		rest += sent;
		len -= (size_t)sent;
	}
}

static void drain_in(void);
static void drain_out(void);

static void near_sends(void)
{
	struct iovec pieces[MAX_PIECES];
	uint32_t marks[MAX_FDS];
	struct one one;
	int fds[MAX_FDS], number = descriptors(), twin, i;
	int flags = MSG_NOSIGNAL | (random_below(2) ? MSG_DONTWAIT : 0);
	size_t len = size();

	if (!has_room(&twins.out))
		drain_out();
	/* Rule 4. */
	if (!len)
		number = 0;
	for (i = 0; i < number; i++) {
		marks[i] = POOL + random_below(2 * POOL);
		fds[i] = pool[marks[i]];
	}
	bytes_at(twins.out.sent, data, len);
	one_init(&one, NULL, 0);
	one.msg.msg_iov = pieces;
	one.msg.msg_iovlen = (size_t)cut(data, len, pieces);
	put_control(&one, fds, number);
	for (twin = 0; twin < TWINS; twin++) {
		ssize_t sent = calls_of[twin].sendmsg(twins.near[twin], &one.msg, flags);

		if (flags & MSG_DONTWAIT && sent == -1 && errno == EAGAIN) {
			sent = calls_of[twin].sendmsg(twins.near[twin], &one.msg, MSG_NOSIGNAL);
			count.shorter++;
		}
		CHECK(sent >= 0 && (size_t)sent <= len && (sent > 0 || len == 0));
		if (flags & MSG_DONTWAIT && (size_t)sent < len)
			send_rest(twin, data + sent, len - (size_t)sent);
		else
			CHECK((size_t)sent == len);
	}
	note_sent(&twins.out, len, marks, number);
	count.sends++;
	count.bytes += len;
	count.fds += (unsigned long)number;
}

/* A message that must be refused, for the same reason. */
static void near_sends_nonsense(void)
{
	static struct iovec many[1025];
	struct sockaddr_storage address = { .ss_family = AF_UNIX };
	struct iovec piece = { data, 1 };
	int fds[2] = { pool[POOL], 0 }, twin, errors[TWINS];
	struct cmsghdr *header;
	struct one one;

	one_init(&one, data, 1 + random_below(5000));
	one_put(&one, fds, 1);
	header = CMSG_FIRSTHDR(&one.msg);
	switch (random_below(9)) {
	case 0:
		header->cmsg_len = random_below(sizeof(*header));
		break;
	case 1:
		header->cmsg_len = one.msg.msg_controllen + 1 + random_below(1000);
		break;
	case 2:
		header->cmsg_len = SIZE_MAX - random_below(64);
		break;
	case 3:
		header->cmsg_type = 77;
		break;
	case 4:
		fds[1] = random_below(2) ? -1 : 1000000;
		one_put(&one, fds, 2);
		break;
	case 5:
		one.msg.msg_name = &address;
		one.msg.msg_namelen = 2 + random_below(100);
		break;
	case 6:
		one.msg.msg_iov = many;
		one.msg.msg_iovlen = 1025 + random_below(2) * 100000;
		break;
	case 7:
		piece.iov_len = SIZE_MAX - random_below(4096);
		one.msg.msg_iov = &piece;
		break;
	default:
		one.msg.msg_iov = NULL;
		break;
	}
	for (twin = 0; twin < TWINS; twin++) {
		errno = 0;
		CHECK(calls_of[twin].sendmsg(twins.near[twin], &one.msg, MSG_NOSIGNAL) == -1);
		errors[twin] = errno;
	}
	errno = errors[VFD];
	CHECK(errors[UNIX] == errors[VFD]);
	count.refusals++;
}

/* The far ends are sockets both; what arrives must be the same. */
static void far_receives(void)
{
	size_t room = 1 + size();
	struct one one;
	ssize_t got;

	if (room > sizeof(other))
		room = sizeof(other);
	if (outstanding(&twins.out, VFD))
		wait_readable(twins.far[VFD]);
	one_init(&one, other, room);
	one_room(&one, 253);
	got = recvmsg(twins.far[VFD], &one.msg, MSG_DONTWAIT);
	if (got == -1) {
		CHECK(errno == EAGAIN && !outstanding(&twins.out, VFD));
		one_init(&one, other, room);
		CHECK(recvmsg(twins.far[UNIX], &one.msg, MSG_DONTWAIT) == -1 && errno == EAGAIN);
		return;
	}
	check_received(&twins.out, VFD, other, (size_t)got, &one.msg, -1);
	while (twins.out.got[UNIX] < twins.out.got[VFD]) {
		one_init(&one, other, (size_t)(twins.out.got[VFD] - twins.out.got[UNIX]));
		one_room(&one, 253);
		got = recvmsg(twins.far[UNIX], &one.msg, MSG_DONTWAIT);
		CHECK(got > 0);
		check_received(&twins.out, UNIX, other, (size_t)got, &one.msg, -1);
	}
}

static void far_sends(size_t len, int number)
{
	uint32_t marks[MAX_FDS];
	int fds[MAX_FDS], twin, i;

	if (!has_room(&twins.in))
		drain_in();
	for (i = 0; i < number; i++) {
		marks[i] = random_below(POOL);
		fds[i] = pool[marks[i]];
	}
	bytes_at(twins.in.sent, data, len);
	for (twin = 0; twin < TWINS; twin++)
		host_send(twins.far[twin], data, len, fds, number);
	note_sent(&twins.in, len, marks, number);
	count.sends++;
	count.bytes += len;
	count.fds += (unsigned long)number;
}

/* What a call of recvmsg reports. */
struct report {
	ssize_t result;
	int error, flags;
	size_t control;
	socklen_t name;
};

static struct report receive(int twin, char *to, struct one *one, size_t room, size_t control,
			     int flags)
{
	struct iovec pieces[MAX_PIECES];
	struct sockaddr_storage name;
	struct report report;

	one_init(one, NULL, 0);
	one->msg.msg_iov = pieces;
	one->msg.msg_iovlen = (size_t)cut(to, room, pieces);
	one->msg.msg_control = &one->control;
	one->msg.msg_controllen = control;
	one->msg.msg_name = random_below(2) ? &name : NULL;
	one->msg.msg_namelen = sizeof(name);
	one->msg.msg_flags = 0x5555;
	errno = 0;
	report.result = calls_of[twin].recvmsg(twins.near[twin], &one->msg, flags);
	report.error = errno;
	report.flags = one->msg.msg_flags;
	report.control = one->msg.msg_controllen;
	report.name = one->msg.msg_name ? one->msg.msg_namelen : 0;
	return report;
}

/* Calls both with the same random numbers. */
static void receive_both(struct report reports[TWINS], struct one ones[TWINS], size_t room,
			 size_t control, int flags)
{
	uint64_t seed = random_below(UINT32_MAX);
	int twin;

	for (twin = 0; twin < TWINS; twin++) {
		random_seed(seed);
		reports[twin] = receive(twin, twin ? other : data, &ones[twin], room, control, flags);
	}
}

static int same_but_result(const struct report reports[TWINS])
{
	return reports[UNIX].error == reports[VFD].error && reports[UNIX].flags == reports[VFD].flags
		&& reports[UNIX].control == reports[VFD].control
		&& reports[UNIX].name == reports[VFD].name;
}

/* The socket takes what the VFD has, in as many calls as that needs: rule 2. */
static void unix_catches_up(void)
{
	struct one one;

	while (twins.in.got[UNIX] < twins.in.got[VFD]) {
		struct report report = receive(UNIX, data, &one, (size_t)(twins.in.got[VFD]
			- twins.in.got[UNIX]), sizeof(one.control), MSG_DONTWAIT);

		CHECK(report.result > 0);
		check_received(&twins.in, UNIX, data, (size_t)report.result, &one.msg, -1);
	}
}

/* Nothing is there: both say so, and touch nothing. */
static void near_finds_nothing(void)
{
	struct report reports[TWINS];
	struct one ones[TWINS];

	/* Rule 1: without room for a byte a VFD says what poll(2) says, which may be of room. */
	receive_both(reports, ones, 1 + size() / 2, random_below(512), MSG_DONTWAIT);
	CHECK(reports[VFD].result == -1 && reports[UNIX].result == -1);
	CHECK(reports[VFD].error == EAGAIN && same_but_result(reports));
	CHECK(reports[VFD].flags == 0x5555);
	count.empties++;
}

static void near_receives(void)
{
	uint64_t left = outstanding(&twins.in, VFD), next = twins.in.got[VFD] + 1;
	int flags = (random_below(2) ? MSG_CMSG_CLOEXEC : 0) | (random_below(2) ? MSG_DONTWAIT : 0);
	size_t room = 1 + size();
	struct report reports[TWINS];
	struct one ones[TWINS];

	if (!left) {
		near_finds_nothing();
		return;
	}
	wait_readable(twins.near[VFD]);
	if (random_below(16) == 0 && !due(&twins.in, UNIX, next)) {
		/* No room: whether something is there is told, and nothing taken. */
		receive_both(reports, ones, 0, 0, flags);
		CHECK(reports[UNIX].result == 0 && reports[VFD].result == 0);
		CHECK(same_but_result(reports));
		count.empties++;
		return;
	}
	if (room > sizeof(other))
		room = sizeof(other);
	if (random_below(4) == 0 && room <= left && !due(&twins.in, UNIX, twins.in.got[UNIX] + room)) {
		/* Waiting for all of it makes both return the same. */
		receive_both(reports, ones, room, sizeof(ones->control), MSG_WAITALL);
		CHECK(reports[UNIX].result == (ssize_t)room && reports[VFD].result == (ssize_t)room);
		CHECK(reports[UNIX].flags == 0 && reports[VFD].flags == 0);
		check_received(&twins.in, VFD, other, room, &ones[VFD].msg, -1);
		check_received(&twins.in, UNIX, data, room, &ones[UNIX].msg, -1);
	} else {
		/* Rule 1: readable may have meant room. */
		while ((reports[VFD] = receive(VFD, other, &ones[VFD], room, sizeof(ones->control),
					       flags)).error == EAGAIN)
			wait_readable(twins.near[VFD]);
		CHECK(reports[VFD].result > 0 && (size_t)reports[VFD].result <= room);
		CHECK(reports[VFD].flags == (flags & MSG_CMSG_CLOEXEC) && reports[VFD].name == 0);
		check_received(&twins.in, VFD, other, (size_t)reports[VFD].result, &ones[VFD].msg, -1);
		unix_catches_up();
	}
	count.receipts++;
}

static void drain_in(void)
{
	while (outstanding(&twins.in, VFD))
		near_receives();
}

static void drain_out(void)
{
	while (outstanding(&twins.out, VFD))
		far_receives();
}

/* One message alone, so that both find the same, and too little room for its descriptors. */
static void near_receives_truncated(void)
{
	int number = 1 + (int)random_below(MAX_FDS);
	size_t len = 1 + random_below(6000), room = 1 + random_below(6000);
	size_t control = random_below((uint32_t)CMSG_SPACE(sizeof(int) * (size_t)number) + 9);
	int flags = random_below(2) ? MSG_CMSG_CLOEXEC : 0;
	struct report reports[TWINS];
	struct one ones[TWINS];

	drain_in();
	far_sends(len, number);
	wait_readable(twins.near[VFD]);
	receive_both(reports, ones, room, control, flags);
	CHECK(reports[VFD].result > 0 && reports[VFD].result <= reports[UNIX].result);
	CHECK(same_but_result(reports));
	if (CMSG_FIRSTHDR(&ones[VFD].msg)) {
		struct cmsghdr *header = CMSG_FIRSTHDR(&ones[VFD].msg);
		int fd;

		CHECK(header->cmsg_len == CMSG_FIRSTHDR(&ones[UNIX].msg)->cmsg_len);
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
		CHECK(fcntl(fd, F_GETFD) == (flags ? FD_CLOEXEC : 0));
	}
	check_received(&twins.in, VFD, other, (size_t)reports[VFD].result, &ones[VFD].msg, number);
	check_received(&twins.in, UNIX, data, (size_t)reports[UNIX].result, &ones[UNIX].msg, number);
	/* Rule 2: the socket may be ahead by now. */
	while (twins.in.got[VFD] < twins.in.got[UNIX]) {
		struct report report = receive(VFD, other, ones, (size_t)(twins.in.got[UNIX]
			- twins.in.got[VFD]), sizeof(ones->control), 0);

		CHECK(report.result > 0);
		check_received(&twins.in, VFD, other, (size_t)report.result, &ones->msg, -1);
	}
	count.truncations++;
}

/* Sends until there is no room, which each says for itself, and all of it arrives: rule 1. */
static void fills_up(void)
{
	uint64_t start;
	uint64_t most;
	int twin;

	drain_out();
	start = most = twins.out.sent;
	for (twin = 0; twin < TWINS; twin++) {
		struct one one;
		ssize_t sent;

		twins.out.sent = start;
		for (;;) {
			bytes_at(twins.out.sent, data, sizeof(data));
			one_init(&one, data, sizeof(data));
			sent = calls_of[twin].sendmsg(twins.near[twin], &one.msg,
						      MSG_DONTWAIT | MSG_NOSIGNAL);
			if (sent < 0)
				break;
			CHECK(sent > 0);
			twins.out.sent += (uint64_t)sent;
		}
		CHECK(errno == EAGAIN);
		while (outstanding(&twins.out, twin)) {
			one_init(&one, other, sizeof(other));
			sent = recvmsg(twins.far[twin], &one.msg, 0);
			CHECK(sent > 0);
			check_received(&twins.out, twin, other, (size_t)sent, &one.msg, -1);
		}
		if (most < twins.out.sent)
			most = twins.out.sent;
	}
	twins.out.sent = twins.out.got[UNIX] = twins.out.got[VFD] = most;
	count.fills++;
}

/* The far ends close; what they have sent still comes, then the end, and sending fails. */
static void far_closes(void)
{
	struct report reports[TWINS];
	struct one ones[TWINS];
	int twin;

	drain_in();
	drain_out();
	far_sends(1 + size() / 2, descriptors());
	for (twin = 0; twin < TWINS; twin++)
		CHECK(close(twins.far[twin]) == 0);
	drain_in();
	for (twin = 0; twin < TWINS; twin++) {
		struct pollfd hang_up = { .fd = twins.near[twin] };

		twins.far[twin] = -1;
		CHECK(poll(&hang_up, 1, -1) == 1 && hang_up.revents == POLLHUP);
		one_init(&ones[0], data, 1);
		errno = 0;
		CHECK(calls_of[twin].sendmsg(twins.near[twin], &ones[0].msg, 0) == -1);
		CHECK(errno == EPIPE);
	}
	receive_both(reports, ones, 1 + size() / 2, random_below(512), 0);
	CHECK(reports[UNIX].result == 0 && reports[VFD].result == 0 && same_but_result(reports));
	twins_close(&twins);
	twins_open(&twins);
	count.ends++;
}

/* The near ends close: what they have sent still comes, then the end. */
static void near_closes(void)
{
	int twin;

	drain_in();
	near_sends();
	for (twin = 0; twin < TWINS; twin++)
		CHECK(close(twins.near[twin]) == 0);
	drain_out();
	for (twin = 0; twin < TWINS; twin++) {
		CHECK(recv(twins.far[twin], data, 1, 0) == 0);
		twins.near[twin] = dup(0);
	}
	twins_close(&twins);
	twins_open(&twins);
	count.ends++;
}

static void step(void)
{
	switch (random_below(32)) {
	case 0:
		/* Valgrind would see what is wrong with it before the kernel does. */
		if (!getenv("UNDER_VALGRIND"))
			near_sends_nonsense();
		break;
	case 1:
	case 2:
		near_receives_truncated();
		break;
	case 3:
		if (!outstanding(&twins.in, VFD))
			near_finds_nothing();
		break;
	case 4:
		if (random_below(50) == 0)
			far_closes();
		else if (random_below(50) == 0)
			near_closes();
		else if (random_below(20) == 0)
			fills_up();
		else
			near_sends();
		break;
	default:
		switch (random_below(4)) {
		case 0:
			near_sends();
			break;
		case 1:
			far_receives();
			break;
		case 2:
			far_sends(1 + size() * 65535 / 65536, descriptors());
			break;
		default:
			near_receives();
			break;
		}
	}
}

int main(int argc, char **argv)
{
	unsigned long steps = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000, done;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint32_t i;
	int fds;

	signal(SIGPIPE, SIG_IGN);
	random_seed(seed);
	twins_open(&twins);
	for (i = 0; i < 3 * POOL; i++)
		pool[i] = marked(i, i >= 2 * POOL);
	fds = count_fds();
	for (done = 0; done < steps; done++) {
		snprintf(test_context, sizeof(test_context), "seed %llu, step %lu",
			 (unsigned long long)seed, done);
		step();
	}
	drain_in();
	drain_out();
	wait_fds(fds);
	twins_close(&twins);
	printf("%lu steps, seed %llu: %llu bytes and %lu descriptors in %lu messages and %lu receipts; "
	       "%lu refused, %lu truncated, %lu empty, %lu ends, %lu full, %lu sent in parts\n",
	       steps, (unsigned long long)seed, count.bytes, count.fds, count.sends, count.receipts,
	       count.refusals, count.truncations, count.empties, count.ends, count.fills,
	       count.shorter);
	return 0;
}
