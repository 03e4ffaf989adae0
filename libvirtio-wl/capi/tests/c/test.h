/*
 * What every test of the C ABI needs: checks that end the program with the reason, and the host.
 *
 * A program is a guest of a device process that its starter runs, and plays the host as well: it
 * listens where the device connects to. Nothing waits longer than the starter lets it live.
 */
#ifndef TEST_H
#define TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <virtio_wl.h>

/* Most descriptors of one message. */
#define MAX_FDS 28

/* Ends the program unless `what` holds. */
#define CHECK(what) ((what) ? (void)0 : failed(__FILE__, __LINE__, #what, errno))

/* Ends the program unless `call` fails with the errno `expected`, and says why. */
#define FAILS(call, expected) \
	do { \
		errno = 0; \
		intptr_t returned_ = (intptr_t)(call); \
		if (returned_ != -1 || errno != (expected) || !*virtio_wl_error_detail()) \
			failed(__FILE__, __LINE__, #call " fails with " #expected, errno); \
	} while (0)

/* Runs a test, and says so. */
#define RUN(test) (puts(#test), fflush(stdout), test())

/* Said with a failed check, for tests that make up what they do. */
extern char test_context[64];

_Noreturn void failed(const char *file, int line, const char *what, int error);

/* The host: what the device connects to (world.c). */

/* A connection to the default context: `guest` of this library, `host` an ordinary socket. */
struct pair {
	int guest;
	int host;
};

struct pair pair_open(void);
void pair_close(struct pair pair);

/* A listener, and the host's end on which connections are announced. */
struct pair announcer_open(void);

/* Announces a connection of the VM `number`, named "vm" and the number; its host's end. */
int announce(int announcer, uint32_t number);

/* Writes an accept record for the context `name`, whether or not there is one. */
void announce_name(int announcer, uint32_t number, const char *name);

/* Signals the device's process. */
void device_signal(int number);

/* The descriptors of this process, counted. */
int count_fds(void);

/* Waits until there are no more than `count`: the library closes its own when it hears of ours. */
void wait_fds(int count);

/* Lets this process open `spare` descriptors more; the limit to be set again afterwards. */
long limit_fds(int spare);
void unlimit_fds(long limit);

/* Sends `len` bytes and `fds` over an ordinary socket. */
void host_send(int host, const void *data, size_t len, const int *fds, int count);

/* Receives `len` bytes from an ordinary socket, and the descriptors that come with them: how many. */
int host_recv(int host, void *data, size_t len, int *fds);

/* The same over a VFD. */
int guest_recv(int guest, void *data, size_t len, int *fds);

/* Waits until a descriptor is readable. */
void wait_readable(int fd);

/* Whether it is. */
int is_readable(int fd);

/* A message of one buffer, with room for descriptors. */
struct one {
	struct msghdr msg;
	struct iovec iov;
	union {
		/* Aligns it as a cmsghdr, which ISO C forbids to have here. */
		size_t alignment;
		char space[CMSG_SPACE(sizeof(int) * 256)];
	} control;
};

void one_init(struct one *one, void *data, size_t len);

/* Puts descriptors into it, for sending. */
void one_put(struct one *one, const int *fds, int count);

/* Makes room for that many, for receiving. */
void one_room(struct one *one, int count);

/* Takes the descriptors out of it, after receiving: how many. */
int one_take(struct one *one, int *fds);

#endif
