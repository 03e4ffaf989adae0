/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * virtio_wl.h - byte and file descriptor passing between virtual machines
 *
 * Link with `pkg-config --cflags --libs virtio-wl`. Names are those of libc with virtio_wl_ in front,
 * and so are signatures, flags and errno values wherever libc has such a function:
 *
 * - A failed call returns -1 (MAP_FAILED for addresses) and sets errno. A successful one leaves errno
 *   alone. virtio_wl_error_detail() says more. ENOTRECOVERABLE, of any function, is an error of the
 *   library itself.
 * - A pointer that must not be NULL gives EFAULT when it is. Outputs are written on success only.
 * - Descriptors that are returned belong to the caller, who closes them with close(2); those that are
 *   passed are borrowed. They can be polled, duplicated and passed on as any other.
 * - Every function may be called from every thread at any time. None is async-signal-safe.
 * - A process forked from one that uses the guest kernel's driver goes on using its descriptors. The
 *   embedded driver (VIRTIO_WL_DEVICE=vhost-user:PATH) belongs to the process that opened it: in a
 *   forked one every function that needs it fails with ENODEV.
 *
 * A virtual file descriptor (VFD) is a descriptor of virtio_wl: a connection, a listener, memory or an
 * end of a pipe.
 *
 * Made by `cargo xtask header` from libvirtio-wl/capi/src: edit it there.
 */

#ifndef VIRTIO_WL_H
#define VIRTIO_WL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/**
 * Bytes of `vm_name` in struct virtio_wl_peer, its NUL included.
 */
#define VIRTIO_WL_VM_NAME_SIZE 64

/**
 * Size of the first version of struct virtio_wl_peer, the least that its `size` may say.
 */
#define VIRTIO_WL_PEER_SIZE_V1 80

/**
 * Major version of the library that this header belongs to.
 */
#define VIRTIO_WL_VERSION_MAJOR 0

/**
 * Its minor version.
 */
#define VIRTIO_WL_VERSION_MINOR 1

/**
 * Its patch level.
 */
#define VIRTIO_WL_VERSION_PATCH 0

/**
 * All three in one number, 8 bits each, for comparisons: 1.2.3 is 0x010203.
 */
#define VIRTIO_WL_VERSION (((VIRTIO_WL_VERSION_MAJOR << 16) | (VIRTIO_WL_VERSION_MINOR << 8)) | VIRTIO_WL_VERSION_PATCH)

/**
 * Who a connection comes from, in the words of the host: no byte of it comes from the peer.
 *
 * Integers are in host byte order. Later versions of the library add fields at the end only.
 */
struct virtio_wl_peer {
    /**
     * In: sizeof(struct virtio_wl_peer), as the caller was compiled. At least
     * VIRTIO_WL_PEER_SIZE_V1. Left as it was.
     */
    uint32_t size;
    /**
     * The virtual machine. Equal numbers are the same one for as long as this machine runs.
     */
    uint32_t vm_id;
    /**
     * The colour of its label: 0x00RRGGBB, sRGB.
     */
    uint32_t colour;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Its name: 1 to 63 characters of A-Z a-z 0-9 . _ -, NUL-terminated, and NULs after that.
     */
    char vm_name[VIRTIO_WL_VM_NAME_SIZE];
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * virtio_wl_connect - connect to a context of the host
 *
 * name: the context, NUL-terminated UTF-8 of at most 32 bytes; "" is the default one.
 *
 * The first function that needs it opens the device that the environment variable VIRTIO_WL_DEVICE
 * names, /dev/wl0 when it is unset or empty, for all of the process and until its end.
 *
 * Returns a connection: a descriptor, close-on-exec and in blocking mode, that the caller closes. On
 * failure -1, and errno is
 * - EFAULT: name is NULL;
 * - EINVAL: name is too long, not UTF-8, or VIRTIO_WL_DEVICE is malformed;
 * - EMFILE: too many descriptors are open in this process;
 * - ENODEV: the host has no such context, or nobody listens behind it; or the device is gone, or
 *   this process was forked from the one that opened an embedded device;
 * - ENOENT, ECONNREFUSED and others of open(2) or connect(2): the device cannot be opened;
 * - ENOSPC: too many VFDs are open in this virtual machine.
 */
int virtio_wl_connect(const char *name);

/**
 * virtio_wl_listen - open a context on which the host announces connections
 *
 * name: the context, as for virtio_wl_connect(); the host's accept proxy uses "wl-accept".
 *
 * Connections may have been waiting from before this call. Only one listener of a context should be
 * open in a virtual machine: each connection is announced to one of them.
 *
 * Returns a listener: a descriptor, close-on-exec and in blocking mode, that the caller closes. It
 * is readable while connections wait. On failure -1, and errno is one of virtio_wl_connect(): EFAULT,
 * EINVAL, EMFILE, ENODEV, ENOENT, ENOSPC among them.
 */
int virtio_wl_listen(const char *name);

/**
 * virtio_wl_accept4 - accept a connection, as accept4(2)
 *
 * fd: a listener.
 *
 * addr, addrlen: both NULL, or where the peer's address goes and in and out its size in bytes. VFDs
 * have no addresses, so it is an AF_UNIX address without a name: two bytes. Who connects says
 * virtio_wl_accept_peer().
 *
 * flags: 0, or any of SOCK_CLOEXEC and SOCK_NONBLOCK.
 *
 * Takes exactly one connection and waits for one when there is none, unless the listener is in
 * non-blocking mode (virtio_wl_set_nonblock()). Connections that have gone meanwhile are passed over.
 *
 * Returns a connection that the caller closes. On failure -1, and errno is
 * - EAGAIN: no connection waits and the listener is in non-blocking mode;
 * - EBADF: fd is not open;
 * - EFAULT: addr is given without addrlen;
 * - EINVAL: unknown flags, or fd is a VFD but no listener;
 * - EMFILE: too many descriptors are open in this process; the connection is kept for the next call;
 * - ENODEV: this process was forked from the one that opened an embedded device;
 * - ENOSPC: too many VFDs are open in this virtual machine; the connection is kept for the next call;
 * - ENOTCONN: the host has ended the listener, which stays readable: close it;
 * - ENOTSOCK: fd is no VFD.
 */
int virtio_wl_accept4(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags);

/**
 * virtio_wl_error_detail - what exactly went wrong
 *
 * errno says what kind of failure it was, this says which and why: the context that could not be
 * connected to, the descriptor that cannot be sent. It is English text for a log or a terminal,
 * without a newline, and not stable: decide by errno.
 *
 * Returns a NUL-terminated string, never NULL, about the last function of this library that failed
 * in the calling thread; "" when none has. It belongs to the library and is valid until another
 * function of this library fails in the same thread, or the thread ends.
 */
const char *virtio_wl_error_detail(void);

/**
 * virtio_wl_memfd_create - create memory that can be shared with other virtual machines
 *
 * name: for people only, as with memfd_create(2): NUL-terminated, at most 249 bytes.
 *
 * size: in bytes, rounded up to whole pages of 4096 bytes; at most 4294963200. It is settled:
 * ftruncate(2) is not possible.
 *
 * seals: 0, or any of F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_SEAL, which are always in force. Nothing
 * else can be promised to a receiver, so no other seal is taken.
 *
 * The memory is zeroed, and counts against what the host allows this virtual machine until its last
 * descriptor and its last mapping here, and its last holder anywhere, are gone.
 *
 * Returns a descriptor, close-on-exec, that the caller closes, maps with virtio_wl_mmap() and passes
 * with virtio_wl_sendmsg(). On failure -1, and errno is
 * - EDQUOT: more than the host allows this virtual machine, where its memory server says so itself (it
 *   is the device's context "memfd");
 * - EFAULT: name is NULL;
 * - EFBIG: size is too large, or larger than the host allows at once;
 * - EINVAL: name is too long, or another seal is asked for;
 * - EMFILE: too many descriptors are open in this process;
 * - ENODEV: the device is gone, or this process was forked from the one that opened an embedded device;
 * - ENOENT and others of virtio_wl_connect(): the device cannot be opened;
 * - ENOMEM: more than the host allows or has, or the device's region of shared memory is full; with an
 *   embedded device also for too many descriptors;
 * - ENOSPC: too many VFDs are open in this virtual machine.
 */
int virtio_wl_memfd_create(const char *name, uint64_t size, unsigned int seals);

/**
 * virtio_wl_mmap - map memory, as mmap(2)
 *
 * addr, length, prot, flags, fd, offset: as of mmap(2). With MAP_SHARED the memory is that of every
 * virtual machine that has it, and changes at any time.
 *
 * What fd is does not matter: what is no VFD is mapped as mmap(2) does. Memory that its sender has made
 * larger can be mapped to its new end. The mapping stays when fd is closed.
 *
 * mmap(2) does for VFDs too, but then virtio_wl_mremap() cannot make the mapping larger in a virtual
 * machine.
 *
 * Returns the address. On failure MAP_FAILED, and errno is one of mmap(2), among them
 * - EBADF: fd is not open, and flags has no MAP_ANONYMOUS;
 * - EINVAL: length is 0, the range ends beyond the memory, or offset is no multiple of the page size;
 * - ENODEV: the VFD is no memory; or this process was forked from the one that opened an embedded
 *   device.
 */
void *virtio_wl_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);

/**
 * virtio_wl_mremap - move or resize a mapping, as mremap(2)
 *
 * old_address, old_size: a mapping, whole if it is one of virtio_wl_mmap().
 *
 * new_size: its new length in bytes. Memory that its sender has made larger can be mapped to its new
 * end. With the guest kernel's driver mremap(2) cannot make mappings of VFDs larger, this can.
 *
 * flags: 0 or MREMAP_MAYMOVE.
 *
 * Returns the new address; the old mapping is gone. On failure MAP_FAILED, the old mapping is as it
 * was, and errno is one of mremap(2), among them
 * - EFAULT: nothing is mapped there;
 * - EINVAL: unknown flags, old_address is no multiple of the page size, or new_size is 0;
 * - ENOMEM: it cannot grow where it is and MREMAP_MAYMOVE is not set, or there is no room.
 *
 * Beyond the end of the memory it fails with EINVAL in a virtual machine; elsewhere it is done, as for
 * a file, and using what is there raises SIGBUS.
 */
void *virtio_wl_mremap(void *old_address, size_t old_size, size_t new_size, int flags);

/**
 * virtio_wl_munmap - unmap memory, as munmap(2)
 *
 * addr, length: what was mapped, by virtio_wl_mmap() or otherwise.
 *
 * munmap(2) unmaps too, but then in a virtual machine the memory stays allocated to it until something
 * else is mapped in the same place with these functions.
 *
 * Returns 0. On failure -1, and errno is
 * - EINVAL: addr is no multiple of the page size, or length is 0.
 */
int virtio_wl_munmap(void *addr, size_t length);

/**
 * virtio_wl_send - send bytes, as send(2)
 *
 * fd: a connection, or the writing end of a pipe.
 *
 * data, len: the bytes. data may be NULL when len is 0.
 *
 * flags: see virtio_wl_sendmsg(), which this is without descriptors.
 *
 * Returns the number of bytes sent. On failure -1, and errno is one of virtio_wl_sendmsg().
 */
ssize_t virtio_wl_send(int fd, const void *data, size_t len, int flags);

/**
 * virtio_wl_sendmsg - send bytes and descriptors, as sendmsg(2)
 *
 * fd: a connection, or the writing end of a pipe.
 *
 * msg: the buffers, at most 1024, and control data of SCM_RIGHTS messages with at most 28 descriptors
 * together. They are borrowed: the caller closes its own at any time after the call. msg_name must be
 * NULL or msg_namelen 0. A descriptor may be
 * - a VFD, which goes as it is;
 * - ordinary memory (a regular file, memfd or shared memory object), whose content goes, as it is
 *   now, as fresh shared memory of whole pages;
 * - an ordinary pipe: the receiver gets a pipe whose bytes this process carries over in the
 *   background until either end closes.
 *
 * flags: 0, or any of MSG_DONTWAIT and MSG_NOSIGNAL; others are ignored but for MSG_OOB. SIGPIPE is
 * never raised.
 *
 * Waits for room when there is none, unless MSG_DONTWAIT is set or fd is in non-blocking mode.
 *
 * Returns the number of bytes sent: all of them, or what there was room for without waiting. All
 * descriptors go with the first of them. On failure -1, nothing has been sent, and errno is
 * - EAGAIN: it would have to wait;
 * - EBADF: fd, or a descriptor to be sent, is not open; or fd is the reading end of a pipe;
 * - EDQUOT, EFBIG, ENOMEM, ENOSPC: as of virtio_wl_memfd_create(), for memory to be sent;
 * - EFAULT: msg, or one of the pointers in it whose length is not 0, is NULL;
 * - EINVAL: malformed control data, or of another type; more than 28 descriptors; descriptors without
 *   a byte, or on a pipe; or one of a kind that cannot be sent;
 * - EISCONN: an address is given;
 * - EMFILE: too many descriptors are open in this process, or too many ordinary pipes are carried;
 * - EMSGSIZE: more than 1024 buffers;
 * - ENODEV: this process was forked from the one that opened an embedded device;
 * - ENOTCONN: fd is a listener;
 * - ENOTSOCK: fd is no VFD, or memory;
 * - EOPNOTSUPP: MSG_OOB is set;
 * - EPIPE: the peer, or the device, is gone.
 */
ssize_t virtio_wl_sendmsg(int fd, const struct msghdr *msg, int flags);

/**
 * virtio_wl_recv - receive bytes, as recv(2)
 *
 * fd: a connection, or the reading end of a pipe.
 *
 * data, len: where the bytes go.
 *
 * flags: see virtio_wl_recvmsg(), which this is without control data: descriptors that come with the
 * bytes are closed.
 *
 * Returns the number of bytes received, 0 at the end of the stream. On failure -1, and errno is one of
 * virtio_wl_recvmsg().
 */
ssize_t virtio_wl_recv(int fd, void *data, size_t len, int flags);

/**
 * virtio_wl_recvmsg - receive bytes and descriptors, as recvmsg(2)
 *
 * fd: a connection, or the reading end of a pipe.
 *
 * msg: the buffers, at most 1024, and room for control data. After a success msg_controllen says how
 * much of it was used, by at most one SCM_RIGHTS message, whose descriptors the caller closes; msg_flags
 * has MSG_CTRUNC when there was not room for all: the others are closed. msg_namelen becomes 0.
 * Received descriptors are VFDs: memory to be mapped with virtio_wl_mmap(), connections, and ends of
 * pipes to be used with virtio_wl_recv() and virtio_wl_send().
 *
 * flags: 0, or any of MSG_DONTWAIT, MSG_CMSG_CLOEXEC and MSG_WAITALL.
 *
 * Waits for a byte when there is none, unless MSG_DONTWAIT is set or fd is in non-blocking mode.
 * Descriptors come with the byte they were sent with or an earlier one, never with a later one.
 *
 * Returns the number of bytes received, 0 at the end of the stream. On failure -1, and errno is
 * - EAGAIN: nothing is there, and it would have to wait;
 * - EBADF: fd is not open, or is the writing end of a pipe;
 * - EFAULT: msg, or one of the pointers in it whose length is not 0, is NULL;
 * - EINVAL: fd is a listener;
 * - EMSGSIZE: more than 1024 buffers;
 * - ENODEV: this process was forked from the one that opened an embedded device;
 * - ENOTSOCK: fd is no VFD, or memory;
 * - EOPNOTSUPP: MSG_PEEK, MSG_OOB, MSG_ERRQUEUE or MSG_TRUNC is set.
 */
ssize_t virtio_wl_recvmsg(int fd, struct msghdr *msg, int flags);

/**
 * virtio_wl_accept_peer - who an accepted connection comes from
 *
 * fd: a connection that virtio_wl_accept4() returned in this process, or a duplicate of it.
 *
 * peer: its `size` is set by the caller. On success the rest is filled in; bytes that this version
 * of the library does not know of become zero.
 *
 * This is what SO_PEERCRED is for a socket, with the difference that it can be trusted: the host
 * assigns name, number and colour to the virtual machine, which can neither see nor choose them.
 *
 * Returns 0. On failure -1, and errno is
 * - EBADF: fd is not open;
 * - EFAULT: peer is NULL;
 * - EINVAL: peer->size is less than VIRTIO_WL_PEER_SIZE_V1 or more than 4096;
 * - ENOTCONN: fd is a VFD, but no accepted connection;
 * - ENOTSOCK: fd is no VFD.
 */
int virtio_wl_accept_peer(int fd, struct virtio_wl_peer *peer);

/**
 * virtio_wl_pipe2 - create a pipe to whoever the other end is sent to
 *
 * access: what this process does with its end: O_RDONLY or O_WRONLY.
 *
 * flags: 0, or any of O_CLOEXEC and O_NONBLOCK.
 *
 * Unlike pipe2(2) it returns one descriptor: the other end stays with the host until the descriptor
 * is passed with virtio_wl_sendmsg(), which passes that other end, and can be done once. Bytes are
 * moved with virtio_wl_send() and virtio_wl_recv(); read(2) and write(2) do not do the same. An
 * ordinary pipe can be passed as well, and is carried over in the background.
 *
 * Returns a descriptor that the caller closes. On failure -1, and errno is
 * - EINVAL: access or flags is none of the above;
 * - EMFILE: too many descriptors are open in this process;
 * - ENODEV: the device is gone, or this process was forked from the one that opened an embedded device;
 * - ENOENT and others of virtio_wl_connect(): the device cannot be opened;
 * - ENOSPC: too many VFDs are open in this virtual machine.
 */
int virtio_wl_pipe2(int access, int flags);

/**
 * virtio_wl_version - the version of the library that runs
 *
 * Returns it as VIRTIO_WL_VERSION has the version that was compiled against. Never fails.
 */
uint32_t virtio_wl_version(void);

/**
 * virtio_wl_is_vfd - whether a descriptor is one of virtio_wl
 *
 * fd: any descriptor. Duplicates of a VFD are that VFD.
 *
 * The device is not opened for this: where it has never been used nothing is a VFD but what the
 * guest kernel's driver says is one.
 *
 * Returns 1 for a VFD, which is a connection, a listener, memory or an end of a pipe; 0 for anything
 * else. On failure -1, and errno is
 * - EBADF: fd is not open.
 */
int virtio_wl_is_vfd(int fd);

/**
 * virtio_wl_set_nonblock - whether calls on a VFD wait
 *
 * fd: a connection, a listener or an end of a pipe, from virtio_wl_connect(), virtio_wl_listen(),
 * virtio_wl_accept4(), virtio_wl_pipe2() or virtio_wl_recvmsg() of this process.
 *
 * on: not 0 for non-blocking mode: calls that would have to wait fail with EAGAIN.
 *
 * This is what O_NONBLOCK is for a socket. That flag itself is always set on VFDs, so that nothing
 * waits where it cannot be ended, and says nothing about the functions of this library. Duplicates
 * agree.
 *
 * Returns 0. On failure -1, and errno is
 * - EBADF: fd is not open;
 * - ENOTSOCK: fd is none of the above.
 */
int virtio_wl_set_nonblock(int fd, int on);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* What was compiled must lie in memory as the library expects it. */
#ifdef __cplusplus
#define VIRTIO_WL_ASSERT_(what) static_assert(what, #what)
#else
#define VIRTIO_WL_ASSERT_(what) _Static_assert(what, #what)
#endif
VIRTIO_WL_ASSERT_(sizeof(struct virtio_wl_peer) == VIRTIO_WL_PEER_SIZE_V1);
VIRTIO_WL_ASSERT_(offsetof(struct virtio_wl_peer, vm_id) == 4);
VIRTIO_WL_ASSERT_(offsetof(struct virtio_wl_peer, colour) == 8);
VIRTIO_WL_ASSERT_(offsetof(struct virtio_wl_peer, vm_name) == 16);
#undef VIRTIO_WL_ASSERT_

#endif /* VIRTIO_WL_H */
