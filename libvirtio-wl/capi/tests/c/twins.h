/*
 * Two streams that must be the same: a pair of Unix sockets, and a VFD with its host.
 *
 * What may differ, and nothing else:
 *
 * 1. Room. How much a stream holds is its own: a call that does not wait may be told EAGAIN, or take
 *    less, where the other does not. The rest is then sent by a call that waits. That there is room
 *    again is told by POLLOUT of a socket, and by POLLIN of a VFD.
 * 2. Segments. recvmsg(2) may return less than has been sent, where the other returns more.
 * 3. Descriptors. They come with the byte they were sent with or an earlier one, in order. A socket
 *    gives them with exactly that byte.
 * 4. Descriptors without a byte, and more than 28 of them, are refused (EINVAL); a socket loses the
 *    former, and takes up to 253. Not part of the random calls.
 * 5. A socket closed with unread data tells its peer ECONNRESET. Not part of the random calls.
 */
#ifndef TWINS_H
#define TWINS_H

#include "test.h"

/* The calls, of libc or of the library. */
struct calls {
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	void *(*mmap)(void *, size_t, int, int, int, off_t);
	int (*munmap)(void *, size_t);
};

enum { UNIX, VFD, TWINS };

/* One direction of both: what was sent, and what each has received of it. */
struct flow {
	uint64_t sent;
	uint64_t got[TWINS];
	/* Descriptors that were sent: before which byte, and their marks. A ring. */
	struct {
		uint64_t at;
		uint32_t mark;
	} fds[2048];
	unsigned int fds_sent;
	unsigned int fds_got[TWINS];
	/* Messages since both had received everything. */
	unsigned int burst;
};

/* The ends that are compared, and those that are sockets both times. */
struct twins {
	int near[TWINS], far[TWINS];
	struct flow out, in;
};

extern const struct calls calls_of[TWINS];

void twins_open(struct twins *twins);
void twins_close(struct twins *twins);

/* Random numbers below `below`. */
void random_seed(uint64_t seed);
uint32_t random_below(uint32_t below);

/* Fills in the bytes of a stream from `at` on. */
void bytes_at(uint64_t at, char *data, size_t len);

/* Memory with a mark, by which it is known again. */
int marked(uint32_t mark, int as_vfd);
uint32_t mark_of(const struct calls *calls, int fd);

/* Cuts a buffer into buffers, empty ones among them: how many. */
#define MAX_PIECES 12
int cut(char *data, size_t len, struct iovec *pieces);

/* Bytes that one of the twins has still to receive. */
uint64_t outstanding(const struct flow *flow, int twin);

/* Whether both have room for the largest message: what is in flight is kept well below that. */
int has_room(const struct flow *flow);

/* Notes what has been sent. */
void note_sent(struct flow *flow, size_t len, const uint32_t *marks, int count);

/* Checks what one of them has received; `kept` of `count` descriptors there was room for. */
void check_received(struct flow *flow, int twin, const char *data, size_t len, struct msghdr *msg,
		    int count);

/* The descriptors of a message that were sent with bytes before `at` and are not yet received. */
int due(const struct flow *flow, int twin, uint64_t at);

#endif
