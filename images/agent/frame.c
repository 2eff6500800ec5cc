/* Frames on the virtio-serial port: finding them in what comes, whatever lies between, and sending them whole. */
#include "agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static const uint32_t MAGIC = 0x1A314147;
enum { MAGIC_FIRST_BYTE = 0x47, CHECKED_BYTES = 14, HEADER_BYTES = sizeof(struct header) };

int port = -1;
uint16_t session_epoch;

static uint8_t outgoing[HEADER_BYTES + MAX_GUEST_PAYLOAD + 768];
uint8_t *const payload = outgoing + HEADER_BYTES;
/* Never more than a frame's beginning is left over, so there is always room for another receive buffer. */
static uint8_t incoming[4 * 4096];
static uint32_t incoming_length;

static uint16_t checksum(const struct header *header)
{
	const uint8_t *bytes = (const void *)header;
	uint32_t a = 1, b = 0;
	for (int i = 0; i < CHECKED_BYTES; i++) {
		a += bytes[i];
		b += a;
	}
	return (a & 255) | b << 8;
}

static int is_header(const struct header *header)
{
	return header->magic == MAGIC && header->length <= MAX_HOST_PAYLOAD && header->sum == checksum(header);
}

static void write_whole(const uint8_t *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(port, bytes, length);
		if (written > 0) {
			bytes += written;
			length -= written;
		} else if (errno == EAGAIN || errno == EINTR) {
			poll(&(struct pollfd){ port, POLLOUT, 0 }, 1, 50);
		} else {
			usleep(20000);
			return;
		}
	}
}

void send_frame(int type, int flags, uint32_t channel, uint32_t length)
{
	struct header header = { MAGIC, type, flags, session_epoch, channel, length, 0 };
	header.sum = checksum(&header);
	memcpy(outgoing, &header, sizeof header);
	write_whole(outgoing, sizeof header + length);
}

void send_reply(uint32_t channel, int error, uint32_t details)
{
	int32_t number = error;
	memcpy(payload, &number, 4);
	send_frame(G_REPLY, 0, channel, 4 + details);
}

static void drop_half_frame(uint32_t received)
{
	struct header header;
	if (!incoming_length || received < sizeof header)
		return;
	memcpy(&header, incoming + incoming_length, sizeof header);
	if (header.type != H_HELLO || !is_header(&header))
		return;
	memmove(incoming, incoming + incoming_length, received);
	incoming_length = 0;
}

void receive(void (*on_frame)(const struct header *header, uint8_t *body))
{
	ssize_t received = read(port, incoming + incoming_length, sizeof incoming - incoming_length);
	if (received <= 0) {
		/* The host has gone or the port is broken: never spin. */
		if (received == 0 || (errno != EAGAIN && errno != EINTR))
			usleep(20000);
		return;
	}
	drop_half_frame(received);
	incoming_length += received;
	uint32_t at = 0;
	while (incoming_length - at >= HEADER_BYTES) {
		struct header header;
		memcpy(&header, incoming + at, sizeof header);
		if (!is_header(&header)) {
			uint8_t *next = memchr(incoming + at + 1, MAGIC_FIRST_BYTE, incoming_length - at - 1);
			at = next ? (uint32_t)(next - incoming) : incoming_length;
			continue;
		}
		if (incoming_length - at < sizeof header + header.length)
			break;
		on_frame(&header, incoming + at + sizeof header);
		at += sizeof header + header.length;
	}
	memmove(incoming, incoming + at, incoming_length - at);
	incoming_length -= at;
}

int open_port(const char *name)
{
	char path[300], found[64];
	struct dirent *entry;
	int fd = -1;
	DIR *ports = opendir("/sys/class/virtio-ports");
	if (!ports)
		return -1;
	while (fd < 0 && (entry = readdir(ports))) {
		/* A name is at most 255 bytes, readdir(3). */
		stpcpy(stpcpy(stpcpy(path, "/sys/class/virtio-ports/"), entry->d_name), "/name");
		int file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0)
			continue;
		ssize_t length = read(file, found, sizeof found - 1);
		close(file);
		if (length <= 0)
			continue;
		found[found[length - 1] == '\n' ? length - 1 : length] = 0;
		if (strcmp(found, name))
			continue;
		stpcpy(stpcpy(path, "/dev/"), entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	}
	closedir(ports);
	return fd;
}
