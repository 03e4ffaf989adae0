/* Every function from every thread at once. */
#define _GNU_SOURCE
#include "test.h"

#include <pthread.h>

#define THREADS 6
#define ROUNDS 60
#define RECORD 1000

/* The connection that all of them send over: whole records, in any order. */
static struct pair shared;

static void round_trip(struct pair pair, unsigned int seed)
{
	char out[5000], in[5000];
	int memory = virtio_wl_memfd_create("", 4096, 0), got;
	struct one one;
	unsigned char *at;

	CHECK(memory >= 0);
	at = virtio_wl_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	CHECK(at != MAP_FAILED);
	*at = (unsigned char)seed;
	memset(out, (int)seed, sizeof(out));
	one_init(&one, out, sizeof(out));
	one_put(&one, &memory, 1);
	CHECK(virtio_wl_sendmsg(pair.guest, &one.msg, 0) == (ssize_t)sizeof(out));
	CHECK(host_recv(pair.host, in, sizeof(in), &got) == 1);
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	host_send(pair.host, in, sizeof(in), &got, 1);
	close(got);
	CHECK(guest_recv(pair.guest, in, sizeof(in), &got) == 1 && virtio_wl_is_vfd(got) == 1);
	CHECK(virtio_wl_munmap(at, 4096) == 0);
	at = virtio_wl_mmap(NULL, 4096, PROT_READ, MAP_SHARED, got, 0);
	CHECK(at != MAP_FAILED && *at == (unsigned char)seed);
	CHECK(virtio_wl_munmap(at, 4096) == 0);
	close(got);
	close(memory);
}

static void *work(void *number)
{
	unsigned int seed = (unsigned int)(uintptr_t)number;
	char record[RECORD], detail[64];
	/* Made here: one at a time, as the host says whose is whose by the order. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int i;

	snprintf(detail, sizeof(detail), "context of %u", seed);
	for (i = 0; i < ROUNDS; i++) {
		struct pair pair;

		pthread_mutex_lock(&lock);
		pair = pair_open();
		pthread_mutex_unlock(&lock);
		round_trip(pair, seed + (unsigned int)i);
		pair_close(pair);
		memset(record, (int)seed, sizeof(record));
		CHECK(virtio_wl_send(shared.guest, record, RECORD, 0) == RECORD);
		FAILS(virtio_wl_connect(detail), ENODEV);
		CHECK(strstr(virtio_wl_error_detail(), detail));
		CHECK(virtio_wl_is_vfd(shared.guest) == 1);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	int counts[THREADS] = { 0 }, fds;
	char record[RECORD];
	uintptr_t i;

	shared = pair_open();
	fds = count_fds();
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
	for (i = 0; i < THREADS * ROUNDS; i++) {
		host_recv(shared.host, record, RECORD, NULL);
		CHECK(record[0] >= 0 && record[0] < THREADS);
		CHECK(memcmp(record, record + 1, RECORD - 1) == 0);
		counts[(int)record[0]]++;
	}
	for (i = 0; i < THREADS; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0);
		CHECK(counts[i] == ROUNDS);
	}
	wait_fds(fds);
	pair_close(shared);
	return 0;
}
