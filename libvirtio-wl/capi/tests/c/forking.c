/* A forked process cannot use an embedded device, and does its parent no harm. */
#define _GNU_SOURCE
#include "test.h"

#include <sys/wait.h>

static void child(struct pair pair, struct pair announcer, int memory)
{
	char byte = 'x';
	struct one one;

	one_init(&one, &byte, 1);
	FAILS(virtio_wl_connect(""), ENODEV);
	FAILS(virtio_wl_listen("wl-accept"), ENODEV);
	FAILS(virtio_wl_accept4(announcer.guest, NULL, NULL, 0), ENODEV);
	FAILS(virtio_wl_send(pair.guest, &byte, 1, 0), ENODEV);
	FAILS(virtio_wl_sendmsg(pair.guest, &one.msg, 0), ENODEV);
	FAILS(virtio_wl_recv(pair.guest, &byte, 1, 0), ENODEV);
	FAILS(virtio_wl_recvmsg(pair.guest, &one.msg, 0), ENODEV);
	FAILS(virtio_wl_pipe2(O_RDONLY, 0), ENODEV);
	FAILS(virtio_wl_memfd_create("", 1, 0), ENODEV);
	FAILS(virtio_wl_mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory, 0), ENODEV);
	/* Not exit(3): valgrind would look for leaks, among what threads that are not here had. */
	execl("/bin/true", "true", (char *)NULL);
	_exit(1);
}

int main(void)
{
	struct pair pair = pair_open(), announcer = announcer_open();
	int memory = virtio_wl_memfd_create("", 4096, 0), status, i;
	char *at = virtio_wl_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	char byte;

	CHECK(at != MAP_FAILED);
	for (i = 0; i < 3; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			/* What was mapped stays. */
			at[i] = 'c';
			child(pair, announcer, memory);
		}
		CHECK(virtio_wl_send(pair.guest, "p", 1, 0) == 1);
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
		CHECK(host_recv(pair.host, &byte, 1, NULL) == 0 && byte == 'p' && at[i] == 'c');
	}
	host_send(pair.host, "e", 1, NULL, 0);
	CHECK(virtio_wl_recv(pair.guest, &byte, 1, 0) == 1 && byte == 'e');
	CHECK(virtio_wl_munmap(at, 4096) == 0);
	close(memory);
	pair_close(pair);
	pair_close(announcer);
	return 0;
}
