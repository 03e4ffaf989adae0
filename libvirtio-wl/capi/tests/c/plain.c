/* A program that knows nothing but the header: C11 and C++. */
#include <virtio_wl.h>

int main(void)
{
	struct virtio_wl_peer peer = { 0, 0, 0, 0, { 0 } };

	peer.size = sizeof(peer);
	return virtio_wl_version() == VIRTIO_WL_VERSION && virtio_wl_error_detail()[0] == '\0'
		&& peer.size == VIRTIO_WL_PEER_SIZE_V1 ? 0 : 1;
}
