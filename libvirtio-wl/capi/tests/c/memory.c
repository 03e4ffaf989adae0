/* Memory: created, mapped, resized, sent both ways, and every way it can fail. */
#define _GNU_SOURCE
#include "test.h"

#define PAGE 4096
/* What the memory server allows this guest, as the starter has told it. */
#define QUOTA (1 << 20)

static void *map(int fd, size_t len, off_t offset)
{
	void *at = virtio_wl_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	CHECK(at != MAP_FAILED);
	return at;
}

static void creates_whole_pages_of_zeros(void)
{
	int fd = virtio_wl_memfd_create("pixels", PAGE + 1, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	char *at;
	int i;

	CHECK(fd >= 0 && virtio_wl_is_vfd(fd) == 1);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	at = map(fd, 2 * PAGE, 0);
	for (i = 0; i < 2 * PAGE; i++)
		CHECK(at[i] == 0);
	CHECK(close(fd) == 0);
	/* The mapping needs no descriptor. */
	at[2 * PAGE - 1] = 'x';
	CHECK(virtio_wl_munmap(at, 2 * PAGE) == 0);
}

static void two_mappings_are_one_memory(void)
{
	int fd = virtio_wl_memfd_create("", 2 * PAGE, 0);
	char *all = map(fd, 2 * PAGE, 0), *second = map(fd, PAGE, PAGE);

	strcpy(all + PAGE, "shared");
	CHECK(strcmp(second, "shared") == 0);
	CHECK(virtio_wl_munmap(all, 2 * PAGE) == 0 && virtio_wl_munmap(second, PAGE) == 0);
	close(fd);
}

static void goes_to_the_host_and_back(void)
{
	struct pair pair = pair_open();
	int fd = virtio_wl_memfd_create("", PAGE, 0), received[2];
	char *here = map(fd, PAGE, 0), *there, byte;
	struct one one;

	one_init(&one, "m", 1);
	one_put(&one, &fd, 1);
	CHECK(virtio_wl_sendmsg(pair.guest, &one.msg, 0) == 1);
	CHECK(host_recv(pair.host, &byte, 1, received) == 1 && byte == 'm');
	there = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, received[0], 0);
	CHECK(there != MAP_FAILED);
	strcpy(here, "from the guest");
	CHECK(strcmp(there, "from the guest") == 0);
	host_send(pair.host, "b", 1, received, 1);
	CHECK(guest_recv(pair.guest, &byte, 1, received + 1) == 1 && byte == 'b');
	CHECK(virtio_wl_is_vfd(received[1]) == 1);
	virtio_wl_munmap(here, PAGE);
	here = map(received[1], PAGE, 0);
	CHECK(strcmp(here, "from the guest") == 0);
	virtio_wl_munmap(here, PAGE);
	munmap(there, PAGE);
	close(received[0]);
	close(received[1]);
	close(fd);
	pair_close(pair);
}

static void mappings_grow_with_their_memory(void)
{
	struct pair pair = pair_open();
	int file = memfd_create("pool", MFD_CLOEXEC | MFD_ALLOW_SEALING), fd;
	char *at, *old, byte;

	CHECK(file >= 0 && ftruncate(file, PAGE) == 0);
	host_send(pair.host, "p", 1, &file, 1);
	CHECK(guest_recv(pair.guest, &byte, 1, &fd) == 1);
	old = map(fd, PAGE, 0);
	strcpy(old, "kept");
	FAILS(virtio_wl_mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	FAILS(virtio_wl_mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE), EINVAL);
	CHECK(ftruncate(file, 3 * PAGE) == 0);
	CHECK(pwrite(file, "new", 4, 2 * PAGE) == 4);
	at = map(fd, 3 * PAGE, 0);
	CHECK(strcmp(at + 2 * PAGE, "new") == 0);
	CHECK(virtio_wl_munmap(at, 3 * PAGE) == 0);
	/* As libwayland does it: without the descriptor. */
	close(fd);
	at = virtio_wl_mremap(old, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(at != MAP_FAILED);
	CHECK(strcmp(at, "kept") == 0 && strcmp(at + 2 * PAGE, "new") == 0);
	CHECK(virtio_wl_mremap(at, 3 * PAGE, PAGE, 0) == at);
	CHECK(virtio_wl_munmap(at, PAGE) == 0);
	close(file);
	pair_close(pair);
}

static void what_is_no_vfd_is_mapped_too(void)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	char *at;

	CHECK(ftruncate(file, PAGE) == 0 && pwrite(file, "file", 5, 0) == 5);
	at = map(file, PAGE, 0);
	CHECK(strcmp(at, "file") == 0);
	CHECK(virtio_wl_munmap(at, PAGE) == 0);
	at = virtio_wl_mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(at != MAP_FAILED && *at == 0);
	CHECK(virtio_wl_munmap(at, PAGE) == 0);
	close(file);
}

static void creating_fails(void)
{
	char name[251];
	long limit;

	memset(name, 'n', sizeof(name));
	name[250] = '\0';
	FAILS(virtio_wl_memfd_create(name, PAGE, 0), EINVAL);
	FAILS(virtio_wl_memfd_create("", PAGE, F_SEAL_WRITE), EINVAL);
	FAILS(virtio_wl_memfd_create("", UINT64_MAX, 0), EFBIG);
	FAILS(virtio_wl_memfd_create("", UINT64_C(1) << 32, 0), EFBIG);
	limit = limit_fds(0);
	FAILS(virtio_wl_memfd_create("", PAGE, 0), EMFILE);
	unlimit_fds(limit);
}

static void the_quota_is_told(void)
{
	int fd = virtio_wl_memfd_create("", QUOTA / 2, 0), file = memfd_create("file", MFD_CLOEXEC);
	struct pair pair = pair_open();
	struct one one;

	CHECK(fd >= 0 && ftruncate(file, QUOTA) == 0);
	FAILS(virtio_wl_memfd_create("", QUOTA, 0), EDQUOT);
	/* Ordinary memory is copied when it is sent. */
	one_init(&one, "x", 1);
	one_put(&one, &file, 1);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), EDQUOT);
	close(file);
	close(fd);
	pair_close(pair);
}

static void mapping_fails(void)
{
	struct pair pair = pair_open();
	int fd = virtio_wl_memfd_create("", PAGE, 0);
	char *at = map(fd, PAGE, 0);

	FAILS(virtio_wl_mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	FAILS(virtio_wl_mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1), EINVAL);
	FAILS(virtio_wl_mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, -PAGE), EINVAL);
	FAILS(virtio_wl_mmap(NULL, PAGE, PROT_READ, MAP_SHARED, pair.guest, 0), ENODEV);
	FAILS(virtio_wl_munmap(at + 1, PAGE), EINVAL);
	FAILS(virtio_wl_munmap(at, 0), EINVAL);
	CHECK(virtio_wl_munmap(at, PAGE) == 0);
	close(fd);
	pair_close(pair);
}

static void resizing_fails(void)
{
	int fd = virtio_wl_memfd_create("", PAGE, 0);
	char *at = map(fd, PAGE, 0);

	FAILS(virtio_wl_mremap(at, PAGE, 2 * PAGE, MREMAP_FIXED), EINVAL);
	FAILS(virtio_wl_mremap(at + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EINVAL);
	FAILS(virtio_wl_mremap(at, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK(virtio_wl_munmap(at, PAGE) == 0);
	FAILS(virtio_wl_mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	close(fd);
}

static void no_room_to_grow_in_place(void)
{
	int fd = virtio_wl_memfd_create("", 2 * PAGE, 0);
	char *at = map(fd, 2 * PAGE, 0);

	/* The second page is in the way of the first. */
	FAILS(virtio_wl_mremap(at, PAGE, 2 * PAGE, 0), ENOMEM);
	CHECK(virtio_wl_munmap(at, 2 * PAGE) == 0);
	close(fd);
}

int main(void)
{
	int fds;

	CHECK(virtio_wl_is_vfd(0) == 0);
	RUN(creates_whole_pages_of_zeros);
	RUN(goes_to_the_host_and_back);
	fds = count_fds();
	RUN(creates_whole_pages_of_zeros);
	RUN(two_mappings_are_one_memory);
	RUN(goes_to_the_host_and_back);
	RUN(mappings_grow_with_their_memory);
	RUN(what_is_no_vfd_is_mapped_too);
	RUN(creating_fails);
	RUN(the_quota_is_told);
	RUN(mapping_fails);
	/* Valgrind 3.19 itself dies of mremap(2) where nothing is mapped. */
	if (!getenv("UNDER_VALGRIND"))
		RUN(resizing_fails);
	RUN(no_room_to_grow_in_place);
	wait_fds(fds);
	return 0;
}
