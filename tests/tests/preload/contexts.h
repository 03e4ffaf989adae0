/* Security contexts, as wlroots serves them. */
#ifndef CONTEXTS_H
#define CONTEXTS_H

#include <wayland-server.h>

/*
 * Offers wp_security_context_manager_v1. For each client that comes by a context there is a line
 * "labelled ENGINE APP-ID INSTANCE-ID" on standard error.
 */
void contexts_offer(struct wl_display *display);

#endif
