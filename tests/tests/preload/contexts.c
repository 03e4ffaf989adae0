#define _GNU_SOURCE
#include "contexts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ERROR_INVALID_LISTEN_FD = 1 };

enum { ENGINE, APP_ID, INSTANCE_ID, LABELS };

struct context {
	struct wl_display *display;
	struct wl_event_source *listen_source;
	struct wl_event_source *close_source;
	int listen_fd;
	int close_fd;
	char *labels[LABELS];
};

/* The order of the protocol's requests. */
struct context_requests {
	void (*destroy)(struct wl_client *, struct wl_resource *);
	void (*set_engine)(struct wl_client *, struct wl_resource *, const char *);
	void (*set_app_id)(struct wl_client *, struct wl_resource *, const char *);
	void (*set_instance_id)(struct wl_client *, struct wl_resource *, const char *);
	void (*commit)(struct wl_client *, struct wl_resource *);
};

struct manager_requests {
	void (*destroy)(struct wl_client *, struct wl_resource *);
	void (*create_listener)(struct wl_client *, struct wl_resource *, uint32_t, int, int);
};

static const struct wl_interface *no_types[] = { NULL };
static const struct wl_message context_messages[] = {
	{ "destroy", "", no_types },	     { "set_sandbox_engine", "s", no_types },
	{ "set_app_id", "s", no_types },     { "set_instance_id", "s", no_types },
	{ "commit", "", no_types },
};
static const struct wl_interface context_interface = {
	"wp_security_context_v1", 1, 5, context_messages, 0, NULL,
};
static const struct wl_interface *listener_types[] = { &context_interface, NULL, NULL };
static const struct wl_message manager_messages[] = {
	{ "destroy", "", no_types },
	{ "create_listener", "nhh", listener_types },
};
static const struct wl_interface manager_interface = {
	"wp_security_context_manager_v1", 1, 2, manager_messages, 0, NULL,
};

static void destroy(struct wl_client *client, struct wl_resource *resource)
{
	(void)client;
	wl_resource_destroy(resource);
}

static void set(struct wl_resource *resource, int label, const char *text)
{
	struct context *context = wl_resource_get_user_data(resource);

	free(context->labels[label]);
	context->labels[label] = strdup(text);
}

static void set_engine(struct wl_client *client, struct wl_resource *resource, const char *text)
{
	(void)client;
	set(resource, ENGINE, text);
}

static void set_app_id(struct wl_client *client, struct wl_resource *resource, const char *text)
{
	(void)client;
	set(resource, APP_ID, text);
}

static void set_instance_id(struct wl_client *client, struct wl_resource *resource,
			    const char *text)
{
	(void)client;
	set(resource, INSTANCE_ID, text);
}

static int readable(int fd, uint32_t mask, void *data)
{
	struct context *context = data;
	int connection = accept(fd, NULL, NULL);

	(void)mask;
	if (connection < 0) {
		perror("accept");
	} else if (!wl_client_create(context->display, connection)) {
		perror("client");
		close(connection);
	} else {
		fprintf(stderr, "labelled %s %s %s\n", context->labels[ENGINE],
			context->labels[APP_ID], context->labels[INSTANCE_ID]);
	}
	return 0;
}

static void end(struct context *context)
{
	if (context->listen_source)
		wl_event_source_remove(context->listen_source);
	if (context->close_source)
		wl_event_source_remove(context->close_source);
	close(context->listen_fd);
	close(context->close_fd);
	for (int i = 0; i < LABELS; i++)
		free(context->labels[i]);
	free(context);
}

static int hung_up(int fd, uint32_t mask, void *data)
{
	(void)fd, (void)mask;
	end(data);
	return 0;
}

static void commit(struct wl_client *client, struct wl_resource *resource)
{
	struct context *context = wl_resource_get_user_data(resource);
	struct wl_event_loop *loop = wl_display_get_event_loop(context->display);

	(void)client;
	context->listen_source = wl_event_loop_add_fd(loop, context->listen_fd, WL_EVENT_READABLE,
						      readable, context);
	context->close_source = wl_event_loop_add_fd(loop, context->close_fd, 0, hung_up, context);
	/* It goes on without the object. */
	wl_resource_set_user_data(resource, NULL);
}

static void free_draft(struct wl_resource *resource)
{
	struct context *context = wl_resource_get_user_data(resource);

	if (context)
		end(context);
}

static const struct context_requests context_requests = {
	destroy, set_engine, set_app_id, set_instance_id, commit,
};

static int is_listening(int fd)
{
	struct stat stat;
	int listening = 0;
	socklen_t size = sizeof listening;

	return fstat(fd, &stat) == 0 && S_ISSOCK(stat.st_mode) &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

static void create_listener(struct wl_client *client, struct wl_resource *manager, uint32_t id,
			    int listen_fd, int close_fd)
{
	struct context *context = calloc(1, sizeof *context);
	struct wl_resource *resource = wl_resource_create(client, &context_interface, 1, id);

	if (!context || !resource)
		abort();
	if (!is_listening(listen_fd))
		wl_resource_post_error(manager, ERROR_INVALID_LISTEN_FD, "no listening socket");
	context->display = wl_client_get_display(client);
	context->listen_fd = listen_fd;
	context->close_fd = close_fd;
	wl_resource_set_implementation(resource, &context_requests, context, free_draft);
}

static const struct manager_requests manager_requests = { destroy, create_listener };

static void bind_manager(struct wl_client *client, void *data, uint32_t version, uint32_t id)
{
	struct wl_resource *resource =
		wl_resource_create(client, &manager_interface, (int)version, id);

	(void)data;
	if (!resource)
		abort();
	wl_resource_set_implementation(resource, &manager_requests, NULL, NULL);
}

void contexts_offer(struct wl_display *display)
{
	if (!wl_global_create(display, &manager_interface, 1, NULL, bind_manager))
		abort();
}
