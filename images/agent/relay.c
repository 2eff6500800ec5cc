/*
 * Relays: one thread per pipe of a child.
 *
 * Linux 6.1 holds a pipe's mutex while splice(2) or sendfile(2) waits on its other end, and pipe_read and pipe_write take
 * that mutex uninterruptibly, O_NONBLOCK or not. A child that copies its slow input to its output this way (busybox cat)
 * would put whoever reads that pipe to sleep. Only a relay does read it; the agent reads the relay's own pipe, which nobody
 * else can splice.
 */
#include "agent.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum { RELAY_BYTES = 32768, RELAY_STACK = RELAY_BYTES + 8192 };


static int write_everything(int fd, const uint8_t *bytes, ssize_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return 0;
		bytes += written;
		length -= written;
	}
	return 1;
}

static void *relay_main(void *argument)
{
	int from = (int)((uintptr_t)argument & 0xffff), to = (int)((uintptr_t)argument >> 16);
	uint8_t bytes[RELAY_BYTES];
	for (;;) {
		/* Nobody may ever write to `from` again and yet hold it open; that `to` has lost its reader must end us too. */
		struct pollfd both[2] = { { from, POLLIN, 0 }, { to, 0, 0 } };
		if (poll(both, 2, -1) < 0 && errno != EINTR)
			break;
		if (both[1].revents & (POLLERR | POLLHUP | POLLNVAL))
			break;
		if (!both[0].revents)
			continue;
		ssize_t length = read(from, bytes, sizeof bytes);
		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (length <= 0 || !write_everything(to, bytes, length))
			break;
	}
	close(from);
	close(to);
	return 0;
}

int start_relay(int from, int to)
{
	pthread_t thread;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, RELAY_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* Both numbers fit one pointer, so there is nothing to allocate or free: RLIMIT_NOFILE is far below 65536. */
	return pthread_create(&thread, &attributes, relay_main, (void *)((uintptr_t)from | (uintptr_t)to << 16));
}
