/* Two streams, and what is known of both. */
#define _GNU_SOURCE
#include "twins.h"

#define RING(flow) (sizeof((flow)->fds) / sizeof(*(flow)->fds))

const struct calls calls_of[TWINS] = {
	{ sendmsg, recvmsg, mmap, munmap },
	{ virtio_wl_sendmsg, virtio_wl_recvmsg, virtio_wl_mmap, virtio_wl_munmap },
};

void twins_open(struct twins *twins)
{
	struct pair pair = pair_open();
	int sockets[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	memset(twins, 0, sizeof(*twins));
	twins->near[UNIX] = sockets[0];
	twins->far[UNIX] = sockets[1];
	twins->near[VFD] = pair.guest;
	twins->far[VFD] = pair.host;
}

void twins_close(struct twins *twins)
{
	int twin;

	for (twin = 0; twin < TWINS; twin++) {
		CHECK(close(twins->near[twin]) == 0);
		if (twins->far[twin] >= 0)
			CHECK(close(twins->far[twin]) == 0);
	}
}

static uint64_t state;

/* Of neighbouring numbers makes ones that have nothing in common (splitmix64). */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

void random_seed(uint64_t seed)
{
	state = mix(seed);
}

uint32_t random_below(uint32_t below)
{
	return (uint32_t)(mix(state++) >> 32) % below;
}

void bytes_at(uint64_t at, char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		data[i] = (char)((at + i) * 31 >> 3 ^ (at + i) >> 11);
}

int marked(uint32_t mark, int as_vfd)
{
	int fd;

	if (as_vfd) {
		uint32_t *at;

		fd = virtio_wl_memfd_create("marked", sizeof(mark), 0);
		at = virtio_wl_mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0);
		CHECK(fd >= 0 && at != MAP_FAILED);
		*at = mark;
		CHECK(virtio_wl_munmap(at, 4096) == 0);
	} else {
		fd = memfd_create("marked", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
		CHECK(pwrite(fd, &mark, sizeof(mark), 0) == sizeof(mark));
	}
	return fd;
}

uint32_t mark_of(const struct calls *calls, int fd)
{
	uint32_t *at = calls->mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), mark;

	CHECK(at != MAP_FAILED);
	mark = *at;
	CHECK(calls->munmap(at, 4096) == 0);
	return mark;
}

int cut(char *data, size_t len, struct iovec *pieces)
{
	int count = 0;

	while (count < MAX_PIECES - 1 && random_below(3)) {
		size_t take = len ? random_below((uint32_t)len + 1) : 0;

		pieces[count].iov_base = take || random_below(2) ? data : NULL;
		pieces[count++].iov_len = take;
		data += take;
		len -= take;
	}
	pieces[count].iov_base = data;
	pieces[count++].iov_len = len;
	return count;
}

uint64_t outstanding(const struct flow *flow, int twin)
{
	return flow->sent - flow->got[twin];
}

int has_room(const struct flow *flow)
{
	int twin;

	for (twin = 0; twin < TWINS; twin++)
		if (outstanding(flow, twin) >= 65536 || due(flow, twin, flow->sent) > 300)
			return 0;
	return flow->burst < 64;
}

void note_sent(struct flow *flow, size_t len, const uint32_t *marks, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		unsigned int slot = flow->fds_sent++ % RING(flow);

		CHECK(flow->fds_sent - flow->fds_got[UNIX] <= RING(flow));
		CHECK(flow->fds_sent - flow->fds_got[VFD] <= RING(flow));
		flow->fds[slot].at = flow->sent;
		flow->fds[slot].mark = marks[i];
	}
	flow->sent += len;
	flow->burst++;
}

int due(const struct flow *flow, int twin, uint64_t at)
{
	unsigned int next = flow->fds_got[twin];

	while (next != flow->fds_sent && flow->fds[next % RING(flow)].at < at)
		next++;
	return (int)(next - flow->fds_got[twin]);
}

void check_received(struct flow *flow, int twin, const char *data, size_t len, struct msghdr *msg,
		    int count)
{
	static char expected[1 << 17];
	struct cmsghdr *header = CMSG_FIRSTHDR(msg);
	int kept = 0, i;

	CHECK(len <= sizeof(expected) && len <= outstanding(flow, twin));
	bytes_at(flow->got[twin], expected, len);
	CHECK(memcmp(data, expected, len) == 0);
	flow->got[twin] += len;
	if (header) {
		const int *fds = (const int *)(const void *)CMSG_DATA(header);

		CHECK(header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS);
		CHECK(CMSG_NXTHDR(msg, header) == NULL);
		kept = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < kept; i++) {
			unsigned int slot = (flow->fds_got[twin] + (unsigned int)i) % RING(flow);

			CHECK(flow->fds_got[twin] + (unsigned int)i != flow->fds_sent);
			CHECK(mark_of(&calls_of[twin], fds[i]) == flow->fds[slot].mark);
			CHECK(close(fds[i]) == 0);
		}
	}
	flow->fds_got[twin] += (unsigned int)(count < 0 ? kept : count);
	if (!outstanding(flow, UNIX) && !outstanding(flow, VFD))
		flow->burst = 0;
	/* Rule 3: never later than their byte. */
	CHECK(due(flow, twin, flow->got[twin]) == 0);
}
