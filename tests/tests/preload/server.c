/*
 * A Wayland server on libwayland-server, without a screen: what a compositor does with its clients,
 * and nothing else. It knows nothing of virtio_wl.
 *
 * usage: server SOCKET KEYMAPS FILES CONTEXTS
 *
 * SOCKET is the name of its socket, KEYMAPS how many keymaps each keyboard gets at once, and FILES the
 * limit of open files (0: as it is). CONTEXTS other than 0 offers security contexts. It prints "listening", and ends with its standard input. Each new
 * client is a line "client PID" on standard error.
 *
 * wl_surface.commit answers the frame callbacks with the sum of all bytes of the attached buffer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <wayland-server.h>

#include "contexts.h"

/* 64 KiB: what a keymap with all its options comes to. */
#define KEYMAP_SIZE 65536

struct surface {
	struct wl_resource *buffer;
	struct wl_resource *frame;
};

static int keymap_fd = -1;
static int keymaps = 1;

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

/* One file for all clients, as compositors have it: writable here, read-only there. */
static int make_keymap(void)
{
	char path[64];
	unsigned char *bytes;
	int fd = memfd_create("keymap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int read_only;

	if (fd < 0 || ftruncate(fd, KEYMAP_SIZE) < 0)
		fail("keymap");
	bytes = mmap(NULL, KEYMAP_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		fail("keymap");
	for (int i = 0; i < KEYMAP_SIZE; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 256);
	munmap(bytes, KEYMAP_SIZE);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		fail("seals");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	if (read_only < 0)
		fail("keymap");
	close(fd);
	return read_only;
}

static uint32_t sum(struct wl_resource *buffer)
{
	struct wl_shm_buffer *shm = wl_shm_buffer_get(buffer);
	const unsigned char *bytes;
	size_t size;
	uint32_t total = 0;

	if (!shm)
		return 0;
	size = (size_t)wl_shm_buffer_get_stride(shm) * (size_t)wl_shm_buffer_get_height(shm);
	wl_shm_buffer_begin_access(shm);
	bytes = wl_shm_buffer_get_data(shm);
	for (size_t i = 0; i < size; i++)
		total += bytes[i];
	wl_shm_buffer_end_access(shm);
	return total;
}

static void destroy(struct wl_client *client, struct wl_resource *resource)
{
	(void)client;
	wl_resource_destroy(resource);
}

static void attach(struct wl_client *client, struct wl_resource *resource,
		   struct wl_resource *buffer, int32_t x, int32_t y)
{
	struct surface *surface = wl_resource_get_user_data(resource);

	(void)client, (void)x, (void)y;
	surface->buffer = buffer;
}

static void frame(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
	struct surface *surface = wl_resource_get_user_data(resource);

	surface->frame = wl_resource_create(client, &wl_callback_interface, 1, id);
	if (!surface->frame)
		wl_client_post_no_memory(client);
}

static void commit(struct wl_client *client, struct wl_resource *resource)
{
	struct surface *surface = wl_resource_get_user_data(resource);
	uint32_t total;

	(void)client;
	if (!surface->buffer || !surface->frame)
		return;
	total = sum(surface->buffer);
	wl_callback_send_done(surface->frame, total);
	wl_resource_destroy(surface->frame);
	wl_buffer_send_release(surface->buffer);
	surface->frame = NULL;
	surface->buffer = NULL;
}

static const struct wl_surface_interface surface_requests = {
	.destroy = destroy,
	.attach = attach,
	.frame = frame,
	.commit = commit,
};

static void free_surface(struct wl_resource *resource)
{
	free(wl_resource_get_user_data(resource));
}

static void create_surface(struct wl_client *client, struct wl_resource *compositor, uint32_t id)
{
	struct surface *surface = calloc(1, sizeof *surface);
	struct wl_resource *resource = wl_resource_create(client, &wl_surface_interface, 1, id);

	(void)compositor;
	if (!surface || !resource)
		fail("surface");
	wl_resource_set_implementation(resource, &surface_requests, surface, free_surface);
}

static const struct wl_compositor_interface compositor_requests = {
	.create_surface = create_surface,
};

static void bind_compositor(struct wl_client *client, void *data, uint32_t version, uint32_t id)
{
	struct wl_resource *resource =
		wl_resource_create(client, &wl_compositor_interface, (int)version, id);

	(void)data;
	if (!resource)
		fail("compositor");
	wl_resource_set_implementation(resource, &compositor_requests, NULL, NULL);
}

static const struct wl_keyboard_interface keyboard_requests = {
	.release = destroy,
};

static void get_keyboard(struct wl_client *client, struct wl_resource *seat, uint32_t id)
{
	struct wl_resource *keyboard =
		wl_resource_create(client, &wl_keyboard_interface, wl_resource_get_version(seat), id);

	if (!keyboard)
		fail("keyboard");
	wl_resource_set_implementation(keyboard, &keyboard_requests, NULL, NULL);
	for (int i = 0; i < keymaps; i++)
		wl_keyboard_send_keymap(keyboard, WL_KEYBOARD_KEYMAP_FORMAT_XKB_V1, keymap_fd,
					KEYMAP_SIZE);
}

static const struct wl_seat_interface seat_requests = {
	.get_keyboard = get_keyboard,
	.release = destroy,
};

static void bind_seat(struct wl_client *client, void *data, uint32_t version, uint32_t id)
{
	struct wl_resource *resource =
		wl_resource_create(client, &wl_seat_interface, (int)version, id);

	(void)data;
	if (!resource)
		fail("seat");
	wl_resource_set_implementation(resource, &seat_requests, NULL, NULL);
}

static void client_created(struct wl_listener *listener, void *data)
{
	pid_t pid = 0;

	(void)listener;
	wl_client_get_credentials(data, &pid, NULL, NULL);
	fprintf(stderr, "client %d\n", (int)pid);
}

static int input(int fd, uint32_t mask, void *data)
{
	char buffer[64];

	(void)mask;
	if (read(fd, buffer, sizeof buffer) <= 0)
		wl_display_terminate(data);
	return 0;
}

int main(int argc, char **argv)
{
	struct wl_listener listener = { .notify = client_created };
	struct wl_display *display;
	struct rlimit files;

	if (argc != 5) {
		fprintf(stderr, "usage: server SOCKET KEYMAPS FILES CONTEXTS\n");
		return 2;
	}
	keymaps = atoi(argv[2]);
	files.rlim_cur = files.rlim_max = (rlim_t)atoi(argv[3]);
	if (files.rlim_cur && setrlimit(RLIMIT_NOFILE, &files) < 0)
		fail("limit of files");
	keymap_fd = make_keymap();
	display = wl_display_create();
	if (!display || wl_display_add_socket(display, argv[1]) < 0)
		fail("socket");
	wl_display_add_client_created_listener(display, &listener);
	if (wl_display_init_shm(display) < 0 ||
	    !wl_global_create(display, &wl_compositor_interface, 1, NULL, bind_compositor) ||
	    !wl_global_create(display, &wl_seat_interface, 5, NULL, bind_seat))
		fail("globals");
	if (atoi(argv[4]))
		contexts_offer(display);
	wl_event_loop_add_fd(wl_display_get_event_loop(display), STDIN_FILENO, WL_EVENT_READABLE,
			     input, display);
	puts("listening");
	fflush(stdout);
	wl_display_run(display);
	wl_display_destroy_clients(display);
	wl_display_destroy(display);
	return 0;
}
